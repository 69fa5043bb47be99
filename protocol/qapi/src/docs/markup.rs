//! From the markup of documentation comments (a part of reStructuredText, with
//! `@name` for names of the schema) to Markdown.

/// Translates markup; knows how to show a `@name`.
pub(super) struct Markup<'a> {
    name: Box<dyn Fn(&str) -> String + 'a>,
}

impl<'a> Markup<'a> {
    pub(super) fn new(name: impl Fn(&str) -> String + 'a) -> Self {
        Self {
            name: Box::new(name),
        }
    }

    /// Translates text without blocks.
    pub(super) fn inline(&self, text: &str) -> String {
        let mut out = String::new();
        // Every other piece stands between back quotes.
        for (index, piece) in text.split("``").enumerate() {
            if index % 2 == 1 {
                out.push_str("``");
                out.push_str(piece);
                out.push_str("``");
            } else {
                self.names(&mut out, piece);
            }
        }
        out
    }

    fn names(&self, out: &mut String, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let (before, after) = rest.split_at(at);
            push_escaped(out, before);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let end = after[1..]
                .find(|c| !is_name(c))
                .map_or(after.len(), |end| end + 1);
            let name = after[1..end].trim_end_matches('-');
            let in_word = before.ends_with(|c: char| c.is_alphanumeric());
            if name.is_empty() || in_word {
                out.push('@');
                rest = &after[1..];
            } else {
                out.push_str(&(self.name)(name));
                rest = &after[1 + name.len()..];
            }
        }
        push_escaped(out, rest);
    }

    /// Translates paragraphs, literal blocks and directives.
    pub(super) fn block(&self, text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let mut out: Vec<String> = Vec::new();
        let mut paragraph: Vec<&str> = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += 1;
            if let Some(directive) = line.trim_start().strip_prefix(".. ") {
                self.flush(&mut out, &mut paragraph);
                let body = indented(&lines[at..], depth(line));
                at += body.len();
                out.push(self.directive(directive, &body));
            } else if line.ends_with("::") {
                // `text::` ends the paragraph with a colon, `::` with nothing.
                let lead = line.trim_end_matches(':').trim_end();
                let lead = if lead.is_empty() {
                    ""
                } else {
                    &line[..line.len() - 1]
                };
                paragraph.extend(Some(lead).filter(|lead| !lead.is_empty()));
                self.flush(&mut out, &mut paragraph);
                let body = indented(&lines[at..], depth(line));
                at += body.len();
                out.push(fenced("text", &body));
            } else if line.trim().is_empty() {
                self.flush(&mut out, &mut paragraph);
            } else {
                paragraph.push(line);
            }
        }
        self.flush(&mut out, &mut paragraph);
        out.join("\n\n")
    }

    fn flush(&self, out: &mut Vec<String>, paragraph: &mut Vec<&str>) {
        if !paragraph.is_empty() {
            out.push(self.inline(&paragraph.join("\n")));
            paragraph.clear();
        }
    }

    fn directive(&self, directive: &str, body: &[&str]) -> String {
        let (name, argument) = directive.split_once("::").unwrap_or((directive, ""));
        let is_option = |line: &&&str| line.trim_start().starts_with(':');
        let options = body.iter().take_while(is_option).count();
        let (options, body) = body.split_at(options);
        let option = |key: &str| {
            options
                .iter()
                .find_map(|line| line.trim().strip_prefix(key))
        };
        match name {
            "qmp-example" => {
                let title = option(":title:").unwrap_or("Example").trim();
                let body = match option(":annotated:") {
                    Some(_) => self.block(&dedent(body).join("\n")),
                    None => fenced("text", body),
                };
                format!("*{}:*\n\n{body}", self.inline(title))
            }
            "code-block" => fenced(argument.trim(), body),
            _ => {
                let title = if name == "admonition" {
                    argument.trim()
                } else {
                    name
                };
                let body = self.block(&dedent(body).join("\n"));
                format!("> **{title}:** {}", body.replace('\n', "\n> "))
            }
        }
    }
}

/// What stands up to the first blank line or the end of a sentence.
pub(super) fn first_sentence(text: &str) -> &str {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let end = [". ", ".\n"]
        .iter()
        .filter_map(|end| paragraph.find(end))
        .min();
    end.map_or(paragraph, |end| &paragraph[..=end])
}

/// Markdown would take `<` for the start of a tag and `[` for that of a link.
fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        if matches!(character, '<' | '[' | ']') {
            out.push('\\');
        }
        out.push(character);
    }
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The lines that are blank or deeper than `outer`.
fn indented<'a>(lines: &[&'a str], outer: usize) -> Vec<&'a str> {
    let belongs = |line: &&&str| line.trim().is_empty() || depth(line) > outer;
    lines.iter().take_while(belongs).copied().collect()
}

fn dedent<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let full = |line: &&&str| !line.trim().is_empty();
    let depth = lines.iter().filter(full).map(|line| depth(line)).min();
    let cut = |line: &&'a str| line.get(depth.unwrap_or(0)..).unwrap_or("");
    let lines: Vec<&str> = lines.iter().map(cut).collect();
    let start = lines.iter().take_while(|line| line.is_empty()).count();
    let end = lines
        .iter()
        .rev()
        .take_while(|line| line.is_empty())
        .count();
    lines[start..lines.len().max(start + end) - end].to_vec()
}

fn fenced(language: &str, lines: &[&str]) -> String {
    format!("```{language}\n{}\n```", dedent(lines).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let markup = Markup::new(|name| format!("[{name}]"));
        assert_eq!(markup.block(text), expected);
    }

    #[test]
    fn translates() {
        check("see @stop-it, x@y, @-", "see [stop-it], x@y, @-");
        check("a <b> ``@c <d>`` [e]", "a \\<b> ``@c <d>`` \\[e\\]");
        check(
            "like this::\n\n  one\n    two\n\nend",
            "like this:\n\n```text\none\n  two\n```\n\nend",
        );
        check("::\n\n  one", "```text\none\n```");
        check(".. note:: \n   mind\n   @it", "> **note:** mind\n> [it]");
        check(
            ".. qmp-example::\n    :title: T\n\n    -> 1\n\nend",
            "*T:*\n\n```text\n-> 1\n```\n\nend",
        );
        check(".. code-block::", "```\n\n```");
    }

    #[test]
    fn finds_the_first_sentence() {
        assert_eq!(first_sentence("Stop. Now.\n\nx"), "Stop.");
        assert_eq!(first_sentence("Stop\nnow\n\nx"), "Stop\nnow");
    }
}
