//! The migrations are embedded at compile time; a changed one must compile them again.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
