//! Imports: which part of the crate may use which, and that no two files use each other. Clippy holds what is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each part of the crate, and the other parts that it may use.
const PARTS: &str = "
    address:
    protocol:
    logging:
    config:
    sandbox:
    hub: protocol
    keeper:
    password_file: hub
    memory: hub
    net: hub keeper address logging tls_client
    terminal:
    tls_client:
    join: hub protocol address terminal tls_client password_file
    ctl: protocol address terminal
    bench: hub protocol address tls_client password_file
    cli: hub net join ctl bench address logging config tls_client password_file
    generate: cli
    users: hub
    serve: hub net join cli address logging memory sandbox password_file users
";

/// The program's modules by their paths in the crate (`hub::room`), with their sources up to their tests.
fn modules(folder: &Path, path: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let file = entry.expect("an entry").path();
        let stem = file.file_stem().expect("a name").to_str().expect("UTF-8");
        let inner = [path, stem].join(if path.is_empty() { "" } else { "::" });
        match stem {
            "tests" | "testing" | "lib" | "main" => {}
            _ if file.is_dir() => modules(&file, &inner, found),
            _ => {
                let source = fs::read_to_string(&file).expect("a source");
                let program = source.split("\n#[cfg(test)]\nmod ").next();
                let path = if stem == "mod" { path } else { &inner };
                found.insert(path.into(), program.unwrap_or_default().into());
            }
        }
    }
}

/// The paths in the tree of a `use`: `a::{b, c::d}` is `a::b`, `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let (mut prefixes, mut path, mut found) = (vec![String::new()], String::new(), Vec::new());
    for c in tree.chars().chain([',']) {
        let prefix = prefixes.last().cloned().unwrap_or_default();
        match c {
            '{' => prefixes.push(prefix + &std::mem::take(&mut path)),
            ',' | '}' => {
                found.push(prefix + &std::mem::take(&mut path));
                prefixes.truncate(prefixes.len() - usize::from(c == '}'));
            }
            c if c.is_whitespace() => {}
            c => path.push(c),
        }
    }
    found
}

/// The modules that a module imports.
fn imports(module: &str, source: &str, modules: &BTreeMap<String, String>) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let source = source.replace("\npub use ", "\nuse ");
    let trees = source.split("\nuse ").skip(1);
    let trees = trees.filter_map(|rest| rest.split(';').next());
    let resolve = |path: String| {
        let path = match (path.strip_prefix("crate::"), path.strip_prefix("super::")) {
            (Some(rest), _) => rest.to_owned(),
            (_, Some(rest)) => format!("{parent}::{rest}"),
            _ => format!("{module}::{path}"),
        };
        let ends = path.match_indices("::").map(|(end, _)| end);
        let prefixes = ends.chain([path.len()]).map(|end| &path[..end]);
        let known = |prefix: &&str| modules.contains_key(*prefix);
        let found = prefixes.filter(known).last();
        found.filter(|&found| found != module).map(str::to_owned)
    };
    trees.flat_map(paths).filter_map(resolve).collect()
}

#[test]
fn imports_run_one_way() {
    let mut sources = BTreeMap::new();
    modules(Path::new("src"), "", &mut sources);
    let pairs = sources
        .iter()
        .map(|(module, source)| (module, imports(module, source, &sources)));
    let all: BTreeMap<_, _> = pairs.collect();
    assert!(all[&"hub::handlers".to_owned()].contains("hub::room::append"));
    for (module, imports) in &all {
        let part = module.split("::").next().unwrap_or_default();
        let mut lines = PARTS.lines().map(str::trim);
        let allowed = lines.find_map(|line| line.strip_prefix(part)?.strip_prefix(':'));
        let allowed = allowed.unwrap_or_else(|| panic!("{module} is in no part"));
        for import in imports {
            let of = import.split("::").next().unwrap_or_default();
            let is_allowed = of == part || allowed.split(' ').any(|allowed| allowed == of);
            assert!(is_allowed, "{module} uses {import}");
            assert!(!all[import].contains(*module), "{module} <-> {import}");
        }
    }
}
