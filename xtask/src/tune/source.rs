//! A row as source for `src/tuning/rows.rs`.

use crate::machine::microarchitecture::Microarchitecture;
use fused_dense::Tuning;
use std::fmt::Write as _;

/// The row that the changes make of the present one, by what differs from the general row of its instruction set.
///
/// # Errors
/// Where a change is none.
pub fn source(
    present: &Tuning,
    changes: &[(&'static str, &str, f64)],
    cpu: &Microarchitecture,
) -> anyhow::Result<String> {
    let isa = present.isa();
    let general = Tuning::all().iter().rfind(|row| row.isa() == isa).unwrap_or(present);
    let mut row = present.clone();
    for (number, value, _) in changes {
        row = row.with_number(number, value)?;
    }
    let name = cpu.name().map_or_else(|| "new".to_string(), |name| name.to_lowercase().replace(' ', ""));
    let vendor = match cpu.vendor.as_str() {
        "AuthenticAMD" => "Amd",
        "GenuineIntel" => "Intel",
        _ => "/* a maker of its own */",
    };
    let (family, model) = (cpu.family, cpu.model);
    let mut text = format!("Tuning {{\n    name: \"{}-{name}\",\n", isa.name());
    // Rows of other instruction sets begin as that of AVX2.
    let base = if isa.name() == "avx512" { "AVX512" } else { "AVX2" };
    if !["avx512", "avx2"].contains(&isa.name()) {
        writeln!(text, "    isa: \"{}\",", isa.name())?;
    }
    let models = format!("&[({model:#04X}, {model:#04X})]");
    let families = format!("({family:#04X}, {family:#04X})");
    let cpu = format!("CpuMatch {{ vendor: Vendor::{vendor}, families: {families}, models: {models} }}");
    writeln!(text, "    cpu: Some({cpu}),")?;
    text += "    caches: None,\n";
    let was = present.numbers();
    for (((number, value), (_, of_general)), (_, of_present)) in row.numbers().iter().zip(general.numbers()).zip(&was) {
        if *value == of_general && value == of_present {
            continue;
        }
        let worth = changes.iter().find(|(changed, ..)| changed == number).map(|(.., worth)| worth);
        let note = worth.map_or_else(String::new, |worth| format!(" // {of_present} takes {worth:.3} of the time"));
        writeln!(text, "    {number}: {},{note}", literal(number, value))?;
    }
    writeln!(text, "    ..{base}\n}},")?;
    Ok(text)
}

/// A value as Rust writes it.
fn literal(number: &str, value: &str) -> String {
    match value {
        "max" => "usize::MAX".to_string(),
        "true" | "false" => value.to_string(),
        // Costs are fractions, also where they are whole.
        _ if is_fraction(number) && !value.contains('.') => format!("{value}.0"),
        _ => value.to_string(),
    }
}

fn is_fraction(number: &str) -> bool {
    number.ends_with("_cost") || ["piece_min_cycles", "piece_tolerance", "step_parameter_reads"].contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_by_its_differences() {
        let present = Tuning::all().iter().find(|row| row.name() == "avx512").unwrap();
        let cpu = Microarchitecture { vendor: "AuthenticAMD".into(), family: 25, model: 17 };
        let changes = [("multiply_add_cost", "1", 1.05), ("copy_min_rows", "max", 1.1)];
        let expected = "Tuning {\n    name: \"avx512-zen4\",\n    cpu: Some(CpuMatch { vendor: Vendor::Amd, families: (0x19, 0x19), \
                        models: &[(0x11, 0x11)] }),\n    caches: None,\n    multiply_add_cost: 1.0, // 0.5 takes 1.050 of the time\n    \
                        copy_min_rows: usize::MAX, // 24 takes 1.100 of the time\n    ..AVX512\n},\n";
        assert_eq!(source(present, &changes, &cpu).unwrap(), expected);
        assert!(source(present, &[("pages", "1", 1.0)], &cpu).is_err());
    }

    /// Whether a number is a fraction is read off its name here.
    #[test]
    fn fractions_are_known_by_their_names() {
        let row = &Tuning::all()[0];
        for (number, _) in row.numbers() {
            assert_eq!(row.with_number(number, "16.5").is_ok(), is_fraction(number), "{number}");
        }
    }
}
