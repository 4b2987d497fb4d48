//! The tour that `weir demo` prints: every line is typed into a shell, and the decision log says which rung answered.

use weir::demo::tour::{Place, STOPS};

use crate::support::program::Terminal;

#[test]
fn every_line_of_the_tour_does_what_it_says() {
    let terminal = Terminal::new();
    let mut demo = terminal.start(&["demo", "--port", "0"]);
    let mut printed = Vec::new();
    while printed.last().is_none_or(|line: &String| !line.starts_with("Ctrl-C")) {
        printed.push(demo.line());
    }
    let row = |name: &str| printed.iter().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim().to_owned();
    let base = printed[0].split_whitespace().nth(3).unwrap().trim_end_matches(',').to_owned();
    let decisions = row("decisions").replace("tail -f ", "");
    let jar = decisions.replace("decisions.jsonl", "");

    let status = row("status");
    let (weir, socket) = status.split_once(" status --socket ").unwrap();
    let place = Place { base: &base, jar: &jar, weir, socket };

    let mut points = Vec::new();
    for stop in STOPS {
        for line in stop.lines {
            let typed = line.typed(&place);
            assert!(printed.iter().any(|line| line.trim() == typed), "not printed: {typed}");
            let said = terminal.shell(&typed);
            assert_eq!(said.code, Some(0), "{typed}: {}", said.err);
            if line.status == 0 {
                assert!(said.out.starts_with(line.says), "{typed}: {}", said.out);
                assert_eq!(said.out.is_empty(), line.says.is_empty(), "{typed}: {}", said.out);
                continue;
            }
            let status = said.out.split_whitespace().nth(1).unwrap_or("none");
            assert_eq!(status, line.status.to_string(), "{}: {typed}\n{}", stop.title, said.out);
            if line.point {
                let id = said.out.lines().find_map(|line| line.strip_prefix("weir-request-id: "));
                points.push((stop, id.unwrap().trim().to_owned(), said.out));
            }
        }
    }
    let handed = &points.iter().find(|(stop, ..)| stop.rung == "handoff").unwrap().2;
    let problem: serde_json::Value = serde_json::from_str(handed.rsplit('\n').next().unwrap()).unwrap();
    assert_eq!(problem["reference"].as_str().unwrap().chars().filter(char::is_ascii_digit).count(), 9);

    // The lines are written before it ends, and the log goes with it: read first what is there once it says that it stops.
    let text = decided(&decisions, points.last().map(|(_, id, _)| id.as_str()).unwrap());
    for (stop, id, _) in &points {
        let line = text.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{}: no line", stop.title));
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["action"], stop.rung, "{}: {line}", stop.title);
    }
    for secret in ["correct horse", "nanosecond wire", "orange season", "246810", "@example.test"] {
        assert!(!text.contains(secret), "{secret}");
    }
    demo.signal("INT");
    let said = demo.end();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(!std::path::Path::new(&jar).exists(), "it leaves nothing behind");
}

/// The log, once it has the line of this request: lines are handed over a few times a second.
fn decided(path: &str, id: &str) -> String {
    let began = std::time::Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap();
        if text.contains(id) && text.ends_with('\n') {
            return text;
        }
        assert!(began.elapsed().as_secs() < 20, "no line for {id}");
        std::thread::yield_now();
    }
}
