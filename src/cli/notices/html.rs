//! The sheet as one HTML page: everything inside, light and dark, no script, fit to be printed.
//!
//! It must never load anything, and never say for a customer what the gateway does not say.

use std::fmt::Write as _;

use super::super::say::escape;
use super::{text, title};
use crate::gate::sheet::{Entry, Page, Part, Said, Sheet};
use crate::rules::notices::ended;
use crate::rules::playbook::Desk;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a2230;--paper:#eef1f5;--sheet:#fff;--soft:#4a5568;--rule:#c3ccd8;--go:#0b4f9e;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--paper:#12161d;--sheet:#1a202a;--soft:#b4becc;--rule:#39434f;--go:#9cc7ff;--on:#12161d}}\
body{margin:0;padding:1rem;font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere;color:var(--ink);background:var(--paper)}\
body>main{max-width:80rem;margin:0 auto}a{color:var(--go)}a:focus-visible{outline:3px solid var(--go);outline-offset:3px}\
h1,h2,h3{line-height:1.25}section{margin-top:3rem;border-top:2px solid var(--rule)}nav ul{columns:16rem;padding-left:1.2rem}\
article{margin:1.5rem 0;padding:0 1rem 1rem;background:var(--sheet);border:1px solid var(--rule);border-radius:.5rem}\
.who{color:var(--soft)}.languages{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1rem}\
.page{padding:1rem;border:1px solid var(--rule);border-top:.3rem solid var(--go);border-radius:.4rem;overflow-wrap:anywhere}\
.page h1{font-size:1.35rem;margin:0 0 .75rem}.page h2{font-size:1.05rem;margin:1.25rem 0 .4rem}.page ul{padding-left:1.2rem}\
.page .go{display:inline-block;padding:.5rem .9rem;border-radius:.4rem;background:var(--go);color:var(--on);text-decoration:none}\
.page .reference{display:inline-block;margin:0;padding:.3rem .8rem;border:1px solid var(--rule);border-radius:.4rem;font-size:1.35rem;font-weight:600}\
.page footer{margin-top:1.25rem;border-top:1px solid var(--rule);color:var(--soft);font-size:.9rem}\
iframe{width:100%;height:36rem;border:1px solid var(--rule);border-radius:.4rem;background:#fff}\
dl{margin:.75rem 0 0}dt{margin-top:.6rem;font-weight:600}dd{margin:0}pre{margin:0;font:.8rem/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\
@media print{:root{--ink:#000;--paper:#fff;--sheet:#fff;--soft:#333;--rule:#999;--go:#000;--on:#fff}nav{display:none}section{break-before:page}\
article,.page{break-inside:avoid}.page .go{background:none;color:#000;padding:0}}";

/// The page.
pub fn page(sheet: &Sheet) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>What customers read</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>What customers read</h1>\n\
         <p>{}, as Weir says them, with who reads each and when. References, times and waits are samples, and links lead nowhere \
         here; the words are those that customers get.</p>\n<nav aria-label=\"Contents\">\n<ul>\n",
        text::head(sheet)
    );
    for (at, part) in sheet.parts.iter().enumerate() {
        let _ = writeln!(out, "<li><a href=\"#p{at}\">{}</a></li>", escape(&title(part)));
    }
    out += "</ul>\n</nav>\n";
    for (at, part) in sheet.parts.iter().enumerate() {
        one(&mut out, at, part);
    }
    out += "</main>\n</body>\n</html>\n";
    out
}

fn one(out: &mut String, at: usize, part: &Part) {
    let _ = writeln!(out, "<section id=\"p{at}\" aria-labelledby=\"h{at}\">");
    let _ = writeln!(out, "<h2 id=\"h{at}\">{}</h2>", escape(&title(part)));
    if let Some(summary) = &part.summary {
        let _ = writeln!(out, "<p>{}</p>", escape(summary));
    }
    if part.notices.is_empty() {
        out.push_str("<p>Customers are told nothing of their own by it.</p>\n");
    }
    for entry in &part.notices {
        notice(out, entry);
    }
    if let Some(desk) = &part.desk {
        agents(out, desk);
    }
    out.push_str("</section>\n");
}

fn notice(out: &mut String, entry: &Entry) {
    let on = entry.journey.as_ref().map(|journey| format!("{}: ", escape(journey))).unwrap_or_default();
    let _ = writeln!(out, "<article>\n<h3>{on}{}</h3>", escape(entry.why.trim_end_matches('.')));
    let status = match (entry.status, entry.said.iter().find_map(|said| said.page.as_ref())) {
        (Some(status), Some(Page { leads_to: Some(url), .. })) => {
            format!("Status {status} for apps; a browser is sent to {}.", escape(url))
        }
        (Some(status), _) => format!("Status {status}."),
        (None, _) => "Status 200: what is there is shown.".to_owned(),
    };
    let _ = writeln!(out, "<p class=\"who\">{status} Read by {}.</p>", escape(&entry.who.join("; ")));
    out.push_str("<div class=\"languages\">\n");
    for said in &entry.said {
        spoken(out, said);
    }
    out.push_str("</div>\n</article>\n");
}

fn spoken(out: &mut String, said: &Said) {
    let lang = format!("lang=\"{}\" dir=\"{}\"", escape(&said.language), said.direction);
    // Braces and names stand from left to right in every language.
    let document = format!("lang=\"{}\" dir=\"ltr\"", escape(&said.language));
    out.push_str("<div>\n");
    if let Some(page) = &said.page {
        match main(page) {
            Some(main) => {
                let _ = writeln!(out, "<div class=\"page\" {lang}>{main}</div>");
            }
            None => {
                let name = format!("The page in {}", said.language);
                let page = page.html.replace('&', "&amp;").replace('"', "&quot;");
                let _ = writeln!(out, "<iframe sandbox title=\"{}\" srcdoc=\"{page}\"></iframe>", escape(&name));
            }
        }
    }
    out.push_str("<dl>\n");
    if let Some(banner) = &said.banner {
        let _ =
            writeln!(out, "<dt>Banner of a page that is shown ({})</dt>\n<dd>{banner}</dd>", escape(&said.language));
    }
    if let Some(feed) = &said.feed {
        let word = |name: &str| feed.get(name).and_then(|word| word.as_str()).unwrap_or_default();
        let _ = writeln!(
            out,
            "<dt>Journeys feed and greyed buttons: {}</dt>\n<dd {lang}>{} {}</dd>",
            escape(word("state")),
            escape(&ended(word("headline"))),
            escape(word("detail"))
        );
    }
    if let Some(grpc) = &said.grpc {
        let _ = writeln!(out, "<dt>gRPC status {}</dt>\n<dd {lang}>{}</dd>", grpc.status, escape(&grpc.message));
    }
    for app in &said.apps {
        let name = escape(&app.profile);
        let kind = escape(&app.content_type);
        let _ = writeln!(out, "<dt>Apps of the profile {name}: status {}, {kind}</dt>", app.status);
        let _ = writeln!(out, "<dd><pre {document}>{}</pre></dd>", lines(&app.body));
    }
    if let Some(problem) = &said.problem {
        let _ = writeln!(
            out,
            "<dt>Apps: problem+json</dt>\n<dd><pre {document}>{}</pre></dd>",
            lines(&format!("{problem:#}"))
        );
    }
    out.push_str("</dl>\n</div>\n");
}

/// What the built-in page says, with its headings below those of the sheet; none of a page of the operators' own, whose looks are not
/// the sheet's.
fn main(page: &Page) -> Option<String> {
    let main = page.html.split_once("<main>")?.1.split_once("</main>")?.0;
    let below = || main.replace("<h1>", "<h1 aria-level=\"4\">").replace("<h2>", "<h2 aria-level=\"5\">");
    page.built_in.then(below)
}

fn agents(out: &mut String, desk: &Desk) {
    let _ = writeln!(out, "<article>\n<h3>What agents say and do</h3>\n<p>“{}”</p>", escape(&desk.script));
    for (name, list) in
        [("To verify a caller", &desk.verify), ("Never", &desk.never), ("Who is called", &desk.escalate)]
    {
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(out, "<h4>{name}</h4>\n<ul>");
        for line in list {
            let _ = writeln!(out, "<li>{}</li>", escape(line));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</article>\n");
}

/// Text of several lines.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
