//! Where the body of a MySQL or MariaDB routine ends, so that its semicolons do not.
//!
//! `BEGIN`, `IF`, `CASE`, `LOOP`, `REPEAT`, `WHILE` and `FOR` open a block only where a statement
//! of a body begins; elsewhere they are functions (`IF(1,2,3)`), clauses (`IF EXISTS`) or names.
//! `CASE` opens an expression anywhere. MariaDB's blocks outside of routines and its Oracle mode
//! (`AS ... BEGIN`, packages, `<<label>>`) are understood as well.

use super::{Token, TokenKind};

/// Something that an `END` will close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Block,
    If,
    CaseStatement,
    CaseExpression,
    Loop,
    Repeat,
    /// After its `UNTIL`.
    RepeatUntil,
    While,
    For,
    /// Oracle mode: declarations, until their `BEGIN`.
    Declarations,
}

impl Open {
    /// What the word opens where a statement begins.
    fn by(word: &str) -> Option<Open> {
        Some(match word {
            "BEGIN" => Open::Block,
            "IF" => Open::If,
            "CASE" => Open::CaseStatement,
            "LOOP" => Open::Loop,
            "REPEAT" => Open::Repeat,
            "WHILE" => Open::While,
            "FOR" => Open::For,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Open::Block => "BEGIN",
            Open::If => "IF",
            Open::CaseStatement | Open::CaseExpression => "CASE",
            Open::Loop => "LOOP",
            Open::Repeat | Open::RepeatUntil => "REPEAT",
            Open::While => "WHILE",
            Open::For => "FOR",
            Open::Declarations => "AS",
        }
    }
}

/// Which part of a statement is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing yet.
    Start,
    /// After a `BEGIN` of which the next word says whether it is a block or a transaction.
    Begin(usize),
    /// After `CREATE` or `ALTER`, before it is known of what.
    Create,
    /// The name of a routine, trigger, event or package, then `Head` of it.
    Name(Kind),
    /// Between the name and the body.
    Head(Kind),
    /// In a body, or in a statement without blocks.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Routine,
    Trigger,
    Event,
    Package,
}

/// `DECLARE ... HANDLER FOR conditions statement`: what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    No,
    For,
    Condition,
    SqlState,
    Found,
    Done,
}

/// Statements that a body of one statement may be, after which no block can begin.
const SIMPLE_BODIES: [&str; 30] = [
    "ALTER",
    "ANALYZE",
    "CALL",
    "COMMIT",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DO",
    "DROP",
    "EXECUTE",
    "FLUSH",
    "GRANT",
    "INSERT",
    "KILL",
    "LOAD",
    "LOCK",
    "OPTIMIZE",
    "PREPARE",
    "RENAME",
    "REPLACE",
    "RESIGNAL",
    "RETURN",
    "REVOKE",
    "ROLLBACK",
    "SELECT",
    "SET",
    "SIGNAL",
    "START",
    "TRUNCATE",
    "UPDATE",
];

/// No text that matters as the token before is longer.
const BEFORE_BYTES_MAX: usize = 16;

/// The reader of one statement.
pub(super) struct Routine {
    part: Part,
    /// What is open, with its place.
    open: Vec<(Open, usize)>,
    /// The next word begins a statement of a body.
    at_start: bool,
    /// The word before may be a label.
    label: bool,
    parens: u32,
    handler: Handler,
    /// In a `DECLARE`.
    declares: bool,
    /// In a package: after `PROCEDURE` or `FUNCTION`, where `AS` opens its declarations.
    member: bool,
    /// The code token before: its word in upper case, or its punctuation.
    before: String,
}

impl Routine {
    pub(super) fn new() -> Self {
        Routine {
            part: Part::Start,
            open: Vec::new(),
            at_start: true,
            label: false,
            parens: 0,
            handler: Handler::No,
            declares: false,
            member: false,
            before: String::new(),
        }
    }

    /// How many parentheses are open.
    pub(super) fn parens(&self) -> u32 {
        self.parens
    }

    /// The outermost block that is still open: its place and word.
    pub(super) fn open_block(&self) -> Option<(usize, &'static str)> {
        self.open.first().map(|&(open, at)| (at, open.word()))
    }

    /// A semicolon: true if it ends the whole statement.
    pub(super) fn semicolon(&mut self) -> bool {
        while self.top() == Some(Open::CaseExpression) {
            self.open.pop();
        }
        self.at_start = true;
        self.label = false;
        self.parens = 0;
        self.handler = Handler::No;
        self.declares = false;
        self.member = false;
        self.before = ";".to_owned();
        self.open.is_empty()
    }

    /// Any token of code but a semicolon.
    pub(super) fn token(&mut self, token: &Token, sql: &str) {
        let text = token.text(sql);
        let at = token.span.start;
        match token.kind {
            TokenKind::ExecutableCommentMark => return,
            TokenKind::LParen => self.parens = self.parens.saturating_add(1),
            TokenKind::RParen => self.parens = self.parens.saturating_sub(1),
            _ => {}
        }
        self.handler_token(token.kind, text);
        let label = std::mem::take(&mut self.label);
        match token.kind {
            TokenKind::Word => {
                let word = text.to_ascii_uppercase();
                self.word(&word, at);
                self.before = word;
                return;
            }
            // `label :LOOP` reads as a parameter.
            TokenKind::Param if label && text.starts_with(':') => {
                self.at_start = true;
                self.word(&text.get(1..).unwrap_or("").to_ascii_uppercase(), at);
            }
            TokenKind::QuotedIdent => self.name(),
            // Under `ANSI_QUOTES` a name.
            TokenKind::Str if matches!(self.part, Part::Name(_)) => self.name(),
            TokenKind::Op if label && (text == ":" || text.ends_with(">>")) => self.at_start = true,
            // `<<label>>` of Oracle mode.
            TokenKind::Op if self.at_start && text.starts_with("<<") => {}
            _ => {
                if let Part::Begin(begin) = self.part {
                    self.enter(Open::Block, begin);
                }
                self.at_start = false;
            }
        }
        self.before.clear();
        if text.len() <= BEFORE_BYTES_MAX {
            self.before.push_str(text);
        }
    }

    fn top(&self) -> Option<Open> {
        self.open.last().map(|&(open, _)| open)
    }

    /// Opens a block; its first statement may follow at once.
    fn enter(&mut self, open: Open, at: usize) {
        if open == Open::Block && self.top() == Some(Open::Declarations) {
            self.open.pop();
        }
        self.part = Part::Body;
        self.open.push((open, at));
        self.at_start =
            matches!(open, Open::Block | Open::Loop | Open::Repeat | Open::Declarations);
    }

    /// A quoted name.
    fn name(&mut self) {
        match self.part {
            Part::Name(kind) => self.part = Part::Head(kind),
            Part::Begin(begin) => self.enter(Open::Block, begin),
            _ => {}
        }
        self.label = self.at_start;
        self.at_start = false;
    }

    fn word(&mut self, word: &str, at: usize) {
        if self.before == "." || self.before == "XA" {
            self.at_start = false;
            return;
        }
        match self.part {
            Part::Start => self.first_word(word, at),
            Part::Begin(begin) => match word {
                "WORK" => self.part = Part::Body,
                _ => {
                    self.enter(Open::Block, begin);
                    self.body_word(word, at);
                }
            },
            Part::Create => self.create_word(word),
            Part::Name(kind) => {
                if !matches!(word, "IF" | "NOT" | "EXISTS" | "BODY") {
                    self.part = Part::Head(kind);
                }
            }
            Part::Head(kind) => self.head_word(kind, word, at),
            Part::Body => self.body_word(word, at),
        }
    }

    fn first_word(&mut self, word: &str, at: usize) {
        match word {
            "BEGIN" => self.part = Part::Begin(at),
            "CREATE" | "ALTER" => self.part = Part::Create,
            "DECLARE" => self.enter(Open::Declarations, at),
            _ => {
                self.part = Part::Body;
                self.body_word(word, at);
            }
        }
    }

    fn create_word(&mut self, word: &str) {
        self.part = match word {
            "PROCEDURE" | "FUNCTION" => Part::Name(Kind::Routine),
            "TRIGGER" => Part::Name(Kind::Trigger),
            "EVENT" => Part::Name(Kind::Event),
            "PACKAGE" => Part::Name(Kind::Package),
            "OR" | "REPLACE" | "AGGREGATE" | "DEFINER" | "CURRENT_USER" | "CURRENT_ROLE" => {
                Part::Create
            }
            // `DEFINER = root@localhost`
            _ if self.before == "=" => Part::Create,
            _ => Part::Body,
        };
        self.at_start = false;
    }

    fn head_word(&mut self, kind: Kind, word: &str, at: usize) {
        if self.parens > 0 {
            return;
        }
        match kind {
            Kind::Trigger if word == "ROW" && self.before == "EACH" => {
                self.part = Part::Head(Kind::Routine);
            }
            Kind::Event if word == "DO" => self.part = Part::Head(Kind::Routine),
            Kind::Trigger | Kind::Event => {}
            Kind::Routine | Kind::Package if matches!(word, "AS" | "IS") => {
                self.enter(Open::Declarations, at);
            }
            Kind::Package => {}
            Kind::Routine => {
                let named =
                    matches!(&*self.before, "RETURNS" | "CHARACTER" | "FOLLOWS" | "PRECEDES");
                if named {
                } else if let Some(open) = Open::by(word) {
                    self.enter(open, at);
                } else if SIMPLE_BODIES.contains(&word) || word == "WITH" {
                    self.part = Part::Body;
                    self.at_start = false;
                }
            }
        }
    }

    fn body_word(&mut self, word: &str, at: usize) {
        if self.top() == Some(Open::CaseExpression) {
            match word {
                "CASE" => self.open.push((Open::CaseExpression, at)),
                "END" => drop(self.open.pop()),
                _ => {}
            }
        } else if std::mem::take(&mut self.at_start) {
            self.statement_word(word, at);
        } else {
            self.inner_word(word, at);
        }
    }

    /// A word with which a statement of a body begins.
    fn statement_word(&mut self, word: &str, at: usize) {
        match (word, self.top()) {
            ("END", Some(_)) => drop(self.open.pop()),
            ("ELSE", Some(Open::If | Open::CaseStatement)) => self.at_start = true,
            ("UNTIL", Some(Open::Repeat)) => {
                if let Some(top) = self.open.last_mut() {
                    top.0 = Open::RepeatUntil;
                }
            }
            // `BEGIN NOT ATOMIC`
            ("NOT", Some(Open::Block)) if self.before == "BEGIN" => self.at_start = true,
            ("ATOMIC", Some(Open::Block)) if self.before == "NOT" => self.at_start = true,
            ("PROCEDURE" | "FUNCTION", Some(Open::Declarations)) => self.member = true,
            ("DECLARE", _) => self.declares = true,
            _ => match Open::by(word) {
                Some(open) => self.enter(open, at),
                None => self.label = true,
            },
        }
    }

    /// A word inside a statement of a body.
    fn inner_word(&mut self, word: &str, at: usize) {
        match (word, self.top()) {
            ("CASE", _) if self.before != "END" => self.open.push((Open::CaseExpression, at)),
            // After EXCEPTION WHEN in Oracle mode it is the block's own.
            ("THEN", Some(Open::If | Open::CaseStatement | Open::Block))
            | ("DO" | "LOOP", Some(Open::While | Open::For))
                if self.before != "END" =>
            {
                self.at_start = true;
            }
            ("END", Some(Open::RepeatUntil)) => drop(self.open.pop()),
            ("HANDLER", _) if self.declares => self.handler = Handler::For,
            ("AS" | "IS", _) if self.member && self.parens == 0 => {
                self.member = false;
                self.enter(Open::Declarations, at);
            }
            _ => {}
        }
    }

    /// Follows the conditions of a handler, after which its statement begins.
    fn handler_token(&mut self, kind: TokenKind, text: &str) {
        let word = |keyword| kind == TokenKind::Word && text.eq_ignore_ascii_case(keyword);
        self.handler = match self.handler {
            Handler::No => Handler::No,
            Handler::For if word("FOR") => Handler::Condition,
            Handler::For => Handler::For,
            Handler::Condition if word("SQLSTATE") => Handler::SqlState,
            Handler::Condition if word("NOT") => Handler::Found,
            Handler::SqlState if word("VALUE") => Handler::SqlState,
            Handler::Condition | Handler::SqlState | Handler::Found => Handler::Done,
            Handler::Done if kind == TokenKind::Comma => Handler::Condition,
            Handler::Done => {
                self.at_start = true;
                Handler::No
            }
        };
    }
}
