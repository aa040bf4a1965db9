use super::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of its own for each test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("fused-dense-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// Names of the files in it.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder").map(|entry| entry.expect("an entry"));
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FLOATS: [f32; 6] = [1.0, -0.0, f32::INFINITY, 1e-40, f32::MIN, 0.1];
const COUNTS: [u64; 2] = [u64::MAX, 7];

fn tensor<'a>(name: &str, shape: &[usize], data: Data<'a>) -> Tensor<'a> {
    Tensor { name: name.to_string(), shape: shape.to_vec(), data }
}

fn tensors() -> Vec<Tensor<'static>> {
    vec![
        tensor("2.weight", &[2, 3], Data::Floats(&FLOATS)),
        tensor("steps", &[2], Data::Integers(&COUNTS)),
        tensor("0.bias", &[0], Data::Floats(&[])),
        tensor("a \"name\" \\ of\n\u{1} \u{fc}", &[], Data::Floats(&FLOATS[5..])),
    ]
}

fn bytes_of(tensors: &[Tensor<'_>], metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write::write_to(&mut bytes, tensors, metadata).expect("memory");
    bytes
}

fn parse(bytes: &[u8]) -> Result<File, FileError> {
    File::parse(Path::new("some.safetensors"), bytes.len() as u64, bytes)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn reason(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(FileError::Format { path, reason }) if path == Path::new("some.safetensors") => reason,
        other => panic!("{other:?}"),
    }
}

fn bits(values: impl Iterator<Item = f32>) -> Vec<u32> {
    values.map(f32::to_bits).collect()
}

#[test]
#[cfg_attr(miri, ignore = "files")]
fn what_is_written_is_read() {
    let folder = Folder::new("roundtrip");
    let path = folder.0.join("network.safetensors");
    let metadata = [("format", "pt"), ("activations", "\"relu\", identity")];
    write(&path, &tensors(), &metadata).expect("a file");
    let file = File::read(&path).expect("a file that was just written");
    assert_eq!(bits(file.floats("2.weight", &[2, 3]).expect("a tensor")), bits(FLOATS.into_iter()));
    assert_eq!(file.integers("steps", &[2]).expect("a tensor").collect::<Vec<_>>(), COUNTS);
    assert_eq!(file.floats("0.bias", &[0]).expect("a tensor").count(), 0);
    assert_eq!(file.floats("a \"name\" \\ of\n\u{1} \u{fc}", &[]).expect("a tensor").count(), 1);
    let mut names: Vec<String> = tensors().into_iter().map(|tensor| tensor.name).collect();
    names.sort();
    assert_eq!(file.names().collect::<Vec<_>>(), names);
    assert_eq!(file.metadata("activations"), Some(metadata[1].1));
    assert_eq!((file.metadata("format"), file.metadata("other")), (Some("pt"), None));
    assert_eq!((file.shape("2.weight"), file.shape("3.weight")), (Some(&[2, 3][..]), None));
}

/// Byte for byte what the format's own crate writes, and the same each time.
#[test]
fn files_are_those_of_the_format() {
    let ours = bytes_of(&tensors(), &[("format", "pt")]);
    let tensors = tensors().into_iter().map(|tensor| {
        let (dtype, data) = match tensor.data {
            Data::Floats(values) => {
                (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
            }
            Data::Integers(values) => (Dtype::U64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        (tensor.name, dtype, tensor.shape, data)
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).expect("as many bytes as elements need"))
    });
    let metadata = [("format".to_string(), "pt".to_string())].into_iter().collect();
    let theirs = safetensors::serialize(views, Some(metadata)).expect("memory");
    assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    assert_eq!(ours, theirs);
    assert_eq!(SafeTensors::deserialize(&ours).expect("a valid file").len(), 4);

    let many: Vec<(String, String)> = (0..20).map(|key| (key.to_string(), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    let text = String::from_utf8_lossy(&bytes_of(&[], &many)).into_owned();
    let places: Vec<Option<usize>> = many.iter().map(|(key, _)| text.find(&format!("\"{key}\""))).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{text}");
}

#[test]
fn a_file_of_nothing_is_a_file() {
    let file = parse(&bytes_of(&[], &[])).expect("a valid file");
    assert_eq!(file.names().count(), 0);
}

#[test]
fn what_does_not_fit_is_named() {
    let file = parse(&bytes_of(&tensors(), &[])).expect("a valid file");
    let text = |result: Result<(), FileError>| result.expect_err("a tensor that does not fit").to_string();
    let floats = |name, shape: &[usize]| text(file.floats(name, shape).map(drop));
    assert_eq!(floats("1.weight", &[1]), "tensor 1.weight: expected it in the file, found none of this name");
    assert_eq!(floats("2.weight", &[3, 2]), "tensor 2.weight: expected the shape [3, 2], found [2, 3]");
    assert_eq!(floats("2.weight", &[6]), "tensor 2.weight: expected the shape [6], found [2, 3]");
    assert_eq!(floats("steps", &[2]), "tensor steps: expected elements of type F32, found U64");
    let integers = text(file.integers("2.weight", &[2, 3]).map(drop));
    assert_eq!(integers, "tensor 2.weight: expected elements of type U64, found F32");

    for (dtype, bytes) in [("F64", 8), ("F16", 2), ("BF16", 2), ("I64", 8), ("BOOL", 1), ("C64", 8)] {
        let header = format!(r#"{{"0.weight":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{bytes}]}}}}"#);
        let file = parse(&with_header(&header, &vec![0; bytes])).expect("a valid file");
        let found = text(file.floats("0.weight", &[1]).map(drop));
        assert_eq!(found, format!("tensor 0.weight: expected elements of type F32, found {dtype}"));
    }
    let layers = FileError::Layers { expected: 3, found: 2 };
    assert_eq!(layers.to_string(), "file: expected the weights of 3 layers, found those of 2");
    let network = FileError::from(crate::Error::NoLayers);
    assert_eq!(network.to_string(), "file: network: expected at least one layer, found none");
    assert!(network.source().is_some() && layers.source().is_none());
}

#[test]
fn a_hostile_header_is_an_error() {
    let entry = |name: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let file = |entries: &[String], data: usize| with_header(&format!("{{{}}}", entries.join(",")), &vec![0; data]);
    assert!(parse(&file(&[entry("a", "[2]", 0, 8)], 8)).is_ok());

    assert_eq!(reason(&[1, 2, 3]), "expected the header's length in 8 bytes, found 3");
    for len in [9, 1 << 40, 1 << 62, u64::MAX] {
        let bytes = [&len.to_le_bytes()[..], b"{}"].concat();
        assert_eq!(reason(&bytes), format!("expected a header of at most 2 bytes, found a length of {len}"));
    }
    assert_eq!(reason(&file(&[entry("a", "[2]", 0, 8)], 7)), "expected 8 bytes behind the header, found 7");
    assert_eq!(reason(&file(&[entry("a", "[2]", 0, 8)], 9)), "expected 8 bytes behind the header, found 9");

    let mut invalid = vec![
        file(&[entry("a", "[2]", 0, 8), entry("b", "[2]", 4, 12)], 12), // overlapping
        file(&[entry("a", "[2]", 0, 8), entry("b", "[1]", 0, 4)], 8),   // inside another
        file(&[entry("a", "[2]", 0, 8), entry("b", "[2]", 12, 20)], 20), // a gap
        file(&[entry("a", "[2]", 8, 0)], 8),                            // backwards
        file(&[entry("a", "[3]", 0, 8)], 8),                            // fewer bytes than elements
        file(&[entry("a", "[2]", 0, 8), entry("a", "[2]", 8, 16)], 16), // one name twice
        file(&[entry("a", "[4611686018427387904, 4]", 0, 0)], 0),       // 2^64 elements
        file(&[entry("a", "[4611686018427387904]", 0, 0)], 0),          // 2^64 bytes
        file(&[entry("a", "[-1]", 0, 4)], 4),
        file(&[entry("a", "[1.5]", 0, 4)], 4),
        file(&[entry("a", "[1e400]", 0, 4)], 4),
        with_header(r#"{"__metadata__":{"a":1}}"#, &[]),
        with_header(r#"{"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}}"#, &[0; 4]),
        with_header(r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, &[0; 4]),
        with_header(&"[".repeat(100_000), &[]),
        with_header(&r#"{"a":"#.repeat(100_000), &[]),
        with_header("null", &[]),
        with_header("", &[]),
        [&2_u64.to_le_bytes()[..], &[0xff, 0xfe]].concat(),
    ];
    // Places of which each is valid beside the one before, up to where the file's length no longer fits an integer.
    let step = 1_u64 << 60;
    let huge = |at: u64| entry(&at.to_string(), &format!("[{}]", step / 4), at * step, (at + 1) * step);
    let mut entries: Vec<String> = (0..15).map(huge).collect();
    entries.push(entry("last", &format!("[{}]", step / 4 - 1), 15 * step, 16_u64.wrapping_mul(step).wrapping_sub(4)));
    invalid.push(file(&entries, 0));
    for bytes in invalid {
        let reason = reason(&bytes);
        assert!(reason.starts_with("expected") && reason.contains("found"), "{reason}");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let whole = bytes_of(&tensors(), &[("format", "pt")]);
    for len in 0..whole.len() {
        assert!(matches!(parse(&whole[..len]), Err(FileError::Format { .. })), "{len} of {} bytes", whole.len());
    }
    // A file that becomes shorter while it is read.
    for len in [0, 5, 30, whole.len() - 1] {
        let result = File::parse(Path::new(""), whole.len() as u64, &whole[..len]);
        assert!(matches!(result, Err(FileError::Io { .. })), "{result:?}");
    }
}

/// Each bit of the file: an error, or tensors of which each has the elements that its shape says.
#[test]
fn a_flipped_bit_is_no_panic() {
    let whole = bytes_of(&tensors(), &[("format", "pt")]);
    let (mut read, mut refused) = (0, 0);
    for bit in (0..8 * whole.len()).step_by(if cfg!(miri) { 97 } else { 1 }) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(file) = parse(&bytes) else {
            refused += 1;
            continue;
        };
        read += 1;
        for name in file.names() {
            let shape = file.shape(name).expect("a tensor");
            let len: usize = shape.iter().product();
            let found = match (file.floats(name, shape), file.integers(name, shape)) {
                (Ok(floats), _) => floats.count(),
                (_, Ok(integers)) => integers.count(),
                (Err(_), Err(_)) => len,
            };
            assert_eq!(found, len, "bit {bit}: {name}");
        }
    }
    assert!(read > 0 && refused > 0);
}

#[test]
#[cfg_attr(miri, ignore = "files")]
fn a_file_is_replaced_as_a_whole() {
    let folder = Folder::new("replaced");
    let path = folder.0.join("network.safetensors");
    write(&path, &tensors(), &[]).expect("a file");
    write(&path, &tensors()[..1], &[]).expect("a file in place of another");
    assert_eq!(File::read(&path).expect("a file").names().collect::<Vec<_>>(), ["2.weight"]);
    assert_eq!(folder.files(), ["network.safetensors"]);
}

#[test]
#[cfg_attr(miri, ignore = "files")]
fn nothing_is_left_where_writing_fails() {
    let folder = Folder::new("fails");
    // A folder that is not empty takes no other name.
    let path = folder.0.join("network");
    fs::create_dir(&path).expect("a folder");
    fs::write(path.join("inside"), "").expect("a file");
    match write(&path, &tensors(), &[]) {
        Err(error @ FileError::Io { .. }) => {
            assert!(error.to_string().starts_with(&path.display().to_string()) && error.source().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(folder.files(), ["network"]);

    for path in [folder.0.join("none").join("network"), folder.0.join(".."), PathBuf::new()] {
        assert!(matches!(write(&path, &tensors(), &[]), Err(FileError::Io { .. })), "{}", path.display());
        assert!(
            matches!(File::read(&path), Err(FileError::Io { .. } | FileError::Format { .. })),
            "{}",
            path.display()
        );
    }
    assert_eq!(folder.files(), ["network"]);
}

#[test]
fn layers_have_the_names_of_a_sequential() {
    let names = |layer: LayerNames| [layer.weight, layer.bias.unwrap_or_default()];
    let found: Vec<_> = sequential([true, true, false, false]).into_iter().map(names).collect();
    let expected = [["0.weight", "0.bias"], ["2.weight", "2.bias"], ["4.weight", "4.bias"], ["5.weight", "5.bias"]];
    assert_eq!(found, expected);
    assert_eq!(sequential([]), []);
}

#[test]
fn layers_are_found_by_the_numbers_of_their_modules() {
    let layer = |module: usize, has_bias: bool| LayerNames {
        weight: format!("{module}.weight"),
        bias: has_bias.then(|| format!("{module}.bias")),
    };
    let none = |_: &str| false;
    // By number, not by letter: 10 comes after 3.
    let names = ["10.bias", "0.weight", "3.weight", "10.weight", "0.bias"];
    let found = layers_of(names, none).expect("layers");
    assert_eq!(found, [layer(0, true), layer(3, false), layer(10, true)]);
    let ours = sequential([true, false, true]);
    let names = ours.iter().flat_map(|names| [Some(&names.weight), names.bias.as_ref()]).flatten();
    assert_eq!(layers_of(names.map(String::as_str), none).expect("layers"), ours);
    assert_eq!(
        layers_of(["0.weight", "optimizer.step"], |name| name.starts_with("optimizer.")).expect("layers").len(),
        1
    );
    assert_eq!(layers_of([], none).expect("none"), []);

    let wrong =
        ["1.bias", "00.weight", "+1.weight", "1.running_mean", "fc.weight", "weight", "", "-1.weight", "1.weight.x"];
    for wrong in wrong.into_iter().chain(["99999999999999999999999.weight", "1 .weight"]) {
        match layers_of(["0.weight", wrong], none) {
            Err(FileError::Unexpected { tensor }) => assert_eq!(tensor, wrong),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}
