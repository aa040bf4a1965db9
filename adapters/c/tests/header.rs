#[test] fn x() {
  let c = cbindgen::Config::from_file("cbindgen.toml").unwrap();
  let b = cbindgen::Builder::new().with_config(c).with_src("src/lib.rs").generate().unwrap();
  let mut v = Vec::new(); b.write(&mut v); println!("{}", String::from_utf8(v).unwrap());
}
