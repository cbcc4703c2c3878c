//! Puts the built browser page (`web/dist`, made by Vite) into the program.
//!
//! Without it, as after a bare `cargo build` on a machine without Node, the list is empty and the
//! program serves a small page that says how to build the real one.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_dir = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let out_dir = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let dist = crate_dir.join("web/dist");
    // Cargo runs this script at every build while a path that it watches is missing. Where nothing
    // may be written, it does just that.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());

    let copies = out_dir.join("page");
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    let mut files = Vec::new();
    // A page is there once its entry is: not while Vite is still writing.
    if dist.join("index.html").is_file() {
        collect(&dist, &dist, &mut files)?;
    }
    files.sort();

    let mut list = String::from("static ASSETS: &[Asset] = &[\n");
    for file in &files {
        let from = dist.join(file);
        let to = copies.join(file);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&from, &to)?;
        let etag = fingerprint(&fs::read(&to)?);
        list.push_str(&format!(
            "    Asset {{ path: {file:?}, etag: \"\\\"{etag:016x}\\\"\", \
             bytes: include_bytes!({to:?}) }},\n"
        ));
    }
    list.push_str("];\n");
    fs::write(out_dir.join("assets.rs"), list)
}

/// Every file under `dir`, by its path from `root` with slashes; source maps stay at home.
fn collect(root: &Path, dir: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "map")
            && let Ok(relative) = path.strip_prefix(root)
        {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

/// FNV-1a: names a version of a file; nobody is kept out by it.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
