//! Runs the commands of a page of documentation, as somebody does who follows it by hand.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use whimbrel_testkit::run::{Output, Whimbrel};

/// Exit code of a script in which a command ended otherwise than the page says.
const WRONG: i32 = 99;

/// Every command in the `sh` blocks of a Markdown text, as one script. It ends when a command
/// ends with another code than 0, or than the one that a comment behind it says: `# ends with 3`,
/// `# ends with any code`.
pub(crate) fn script(markdown: &str) -> String {
    let mut out = String::new();
    for block in markdown.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let _ = writeln!(out, "{line}");
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if let Some((_, mark)) = line.split_once("<<'") {
                let end = mark.split('\'').next().unwrap_or_default();
                for text in lines.by_ref() {
                    let _ = writeln!(out, "{text}");
                    if text == end {
                        break;
                    }
                }
            }
            let code = line
                .split_once("# ends with ")
                .map_or("0", |(_, rest)| rest.split([' ', ':']).next().unwrap_or_default());
            if code == "any" {
                continue;
            }
            assert!(code.parse::<i32>().is_ok(), "no code in `{line}`");
            let shown = line.split(" # ").next().unwrap_or_default().replace('\'', "\"");
            let _ = writeln!(
                out,
                "code=$?; [ $code -eq {code} ] || {{ echo 'The page: {shown}: '$code >&2; \
                 exit {WRONG}; }}"
            );
        }
    }
    assert!(!out.is_empty(), "the page has no commands");
    out
}

/// Runs the commands of a page in a folder, with `whimbrel`, the databases' clients and variables
/// at hand.
pub(crate) fn follow(markdown: &str, folder: &Path, variables: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_whimbrel"));
    let programs = program.parent().expect("a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let mut shell =
        Whimbrel::new("/bin/sh", folder).env("PATH", path).timeout(Duration::from_secs(300));
    for (name, value) in variables {
        shell = shell.env(name, value);
    }
    shell.run(["-c", &script(markdown)]).success()
}

#[test]
fn commands_of_a_page_are_checked() {
    let page = "```sh\ntrue\nfalse   # ends with 1: it does\n```\ntext\n```sh\ncat <<'END'\nfalse\n\
                END\nexit 3 # ends with any code\n```\n";
    let text = script(page);
    assert_eq!(text.matches("code=$?").count(), 3, "{text}");
    let folder = whimbrel_testkit::project::Project::new();
    let run = |page: &str| Whimbrel::new("/bin/sh", folder.path()).run(["-c", &script(page)]);
    run("```sh\nfalse # ends with 1\necho yes\n```\n").success();
    let wrong = run("```sh\nfalse\necho yes\n```\n").expect_code(WRONG);
    assert!(wrong.stderr.contains("The page: false: 1"), "{wrong}");
}
