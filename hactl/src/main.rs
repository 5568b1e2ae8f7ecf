//! The program `hactl`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    hactl::main()
}
