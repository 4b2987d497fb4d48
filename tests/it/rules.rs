//! What the compiler of the law says, word for word: every directory of `tests/rules/bad` holds one mistake and must give the golden text
//! beside it; everything in `tests/rules/good` compiles without a word. And nothing that anybody writes makes it panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use weir::rules::diagnostic::{Diagnostic, codes, render, to_json};
use weir::rules::source::{Bounds, Sources};
use weir::rules::{Compiled, compile, syntax};
use weir::settings::Settings;

fn home(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(kind)
}

/// Names and sources: a directory is one law, a file is a law of its own.
fn laws(kind: &str) -> Vec<(String, Sources)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(home(kind)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            all.push((name, Sources::read(&path, &Bounds::default()).unwrap()));
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let file = if file.starts_with("gateway") { "gateway.toml".to_owned() } else { file };
            all.push((name, Sources::from_texts(vec![(file, fs::read_to_string(&path).unwrap())])));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!all.is_empty());
    all
}

/// All that is said of a law and its settings. A file of settings alone is no law.
fn said(sources: &Sources) -> Vec<Diagnostic> {
    let mut all = Settings::read(sources).diagnostics;
    if !sources.iter().all(|(_, source)| source.is_settings()) {
        all.extend(compile(sources).diagnostics);
    }
    all
}

#[test]
fn good_laws_compile_without_a_word() {
    for (name, sources) in laws("good") {
        let diagnostics = said(&sources);
        assert!(diagnostics.is_empty(), "{name}:\n{}", render(&diagnostics, &sources, false));
        assert!(compile(&sources).rules.is_some() || sources.iter().all(|(_, source)| source.is_settings()));
    }
}

#[test]
fn every_mistake_is_explained() {
    for (name, sources) in laws("bad") {
        let diagnostics = said(&sources);
        assert!(!diagnostics.is_empty(), "{name} is not found fault with");
        assert!(diagnostics.iter().all(|problem| problem.help.is_some()), "{name}: a problem without a way out");
        let law = sources.iter().any(|(_, source)| !source.is_settings());
        if law && !name.starts_with("gateway") && compile(&sources).diagnostics.iter().any(Diagnostic::is_error) {
            assert!(compile(&sources).rules.is_none(), "{name} compiles all the same");
        }
        insta::with_settings!({ snapshot_path => home("golden/bad"), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, render(&diagnostics, &sources, false));
        });
    }
}

#[test]
fn every_code_that_a_rule_file_can_meet_has_a_mistake_that_meets_it() {
    let met: Vec<&str> =
        laws("bad").iter().flat_map(|(_, sources)| said(sources)).map(|problem| problem.code).collect();
    // These need a directory or certificate that cannot be read, thousands of problems, hundreds of journeys, or the judge.
    let elsewhere = ["W0001", "W0002", "W0004", "W0006", "W0007", "W0008", "W0070", "W0153", "W0154", "W0211", "W0251"];
    let missing: Vec<_> =
        codes::ALL.iter().map(|code| code.id).filter(|id| !met.contains(id) && !elsewhere.contains(id)).collect();
    assert!(missing.is_empty(), "no mistake for {missing:?}");
}

#[test]
fn tools_are_told_the_same_as_people() {
    for (name, sources) in
        laws("bad").into_iter().filter(|(name, _)| name.starts_with("route") || name.starts_with("syntax"))
    {
        insta::with_settings!({ snapshot_path => home("golden/bad"), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}.json"), serde_json::to_string_pretty(&to_json(&said(&sources), &sources)).unwrap());
        });
    }
}

#[test]
fn the_reference_and_the_schema_follow_the_field_tables() {
    insta::with_settings!({ snapshot_path => home("golden"), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("reference", syntax::reference());
        insta::assert_snapshot!("schema", serde_json::to_string_pretty(&syntax::schema()).unwrap());
        insta::assert_snapshot!("settings", Settings::reference());
        insta::assert_snapshot!("settings_schema", serde_json::to_string_pretty(&Settings::schema()).unwrap());
    });
}

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const SITE: &str =
    "[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\n";

#[test]
fn a_directory_that_cannot_be_law_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let code = |dir: &Path, bounds: &Bounds| Sources::read(dir, bounds).unwrap_err()[0].code;
    assert_eq!(code(&dir.path().join("missing"), &Bounds::default()), "W0001");
    assert_eq!(code(dir.path(), &Bounds::default()), "W0001");
    write(dir.path(), "a.toml", SITE);
    write(dir.path(), "b.toml", "");
    assert_eq!(code(dir.path(), &Bounds { files: 1, ..Bounds::default() }), "W0003");
    assert_eq!(code(dir.path(), &Bounds { total_bytes: 10, ..Bounds::default() }), "W0003");
    write(dir.path(), "1/2/3/c.toml", "");
    assert_eq!(code(dir.path(), &Bounds { depth: 2, ..Bounds::default() }), "W0003");
}

#[test]
fn one_unreadable_file_hides_no_problem_of_another() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.toml", SITE.replace("hosts", "hsots"));
    write(dir.path(), "b.toml", [b'a', b' ', b'=', 0xff]);
    write(dir.path(), "c.toml", "#".repeat(2_000));
    let sources = Sources::read(dir.path(), &Bounds { file_bytes: 1_000, ..Bounds::default() }).unwrap();
    let Compiled { rules, diagnostics } = compile(&sources);
    let codes: Vec<_> = diagnostics.iter().map(|problem| problem.code).collect();
    assert!(rules.is_none());
    for code in ["W0002", "W0003", "W0010"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_once() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "..2026_11/sites.toml", SITE);
    symlink("..2026_11", dir.path().join("..data")).unwrap();
    symlink("..data/sites.toml", dir.path().join("sites.toml")).unwrap();
    let sources = Sources::read(dir.path(), &Bounds::default()).unwrap();
    assert_eq!(sources.iter().count(), 1);
    assert!(compile(&sources).rules.is_some());

    symlink(dir.path().join("..2026_11"), dir.path().join("more")).unwrap();
    symlink("nowhere.toml", dir.path().join("dangling.toml")).unwrap();
    let diagnostics = compile(&Sources::read(dir.path(), &Bounds::default()).unwrap()).diagnostics;
    let codes: Vec<_> = diagnostics.iter().map(|problem| problem.code).collect();
    assert!(codes.contains(&"W0004") && codes.contains(&"W0002"), "{codes:?}");
}

#[test]
fn the_fingerprint_is_of_the_law_and_not_of_the_settings() {
    let of = |texts: &[(&str, &str)]| {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Sources::from_texts(texts).fingerprint()
    };
    assert_eq!(of(&[("a.toml", SITE)]), of(&[("a.toml", SITE), ("gateway.toml", "workers = 1")]));
    assert_ne!(of(&[("a.toml", SITE)]), of(&[("b.toml", SITE)]));
    assert_ne!(of(&[("a.toml", "x"), ("b.toml", "y")]), of(&[("a.toml", "xb.toml"), ("b.toml", "")]));
    assert_eq!(of(&[("a.toml", SITE)]).to_string().len(), 12);
}

#[test]
fn problems_are_bounded_and_counted() {
    let text: String = (0..5_000).map(|at| format!("k{at} = 1\n")).collect();
    let diagnostics = compile(&Sources::from_texts(vec![("a.toml".to_owned(), text)])).diagnostics;
    assert!(diagnostics.len() < 600);
    assert_eq!(diagnostics.last().unwrap().code, "W0006");
}

/// Every text of the golden laws, to be spoiled.
fn texts() -> Vec<(String, String)> {
    let sources = laws("good").into_iter().map(|(_, sources)| sources);
    sources
        .flat_map(|sources| {
            sources.iter().map(|(_, source)| (source.name.to_string(), source.text.to_string())).collect::<Vec<_>>()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
            let sources = Sources::from_texts(vec![("a.toml".to_owned(), text.clone()), ("gateway.toml".to_owned(), text)]);
            let _ = render(&said(&sources), &sources, true);
        }
    }

    #[test]
    fn no_spoiled_law_makes_the_compiler_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        remove in 0usize..40,
        insert in prop::sample::select(vec!["", "[", "]]", "{", "\"", "'''", "= ", "\n", "{*rest}", "%", "-1", "1e9", "é\u{0}", "[[case]]\n", "\\"]),
    ) {
        let texts = texts();
        let (name, text) = &texts[which.index(texts.len())];
        let mut letters: Vec<char> = text.chars().collect();
        let from = at.index(letters.len().max(1)).min(letters.len());
        let to = (from + remove).min(letters.len());
        letters.splice(from..to, insert.chars());
        let sources = Sources::from_texts(vec![(name.clone(), letters.into_iter().collect())]);
        let diagnostics = said(&sources);
        let _ = (render(&diagnostics, &sources, false), to_json(&diagnostics, &sources));
    }
}
