//! What a column's name says of its values.

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Email,
    Url,
    Phone,
    FirstName,
    LastName,
    FullName,
    UserName,
    Slug,
    Title,
    Sentence,
    Word,
    City,
    Country,
    CountryCode,
    Zip,
    Street,
    Company,
    Locale,
    Currency,
    Color,
    Ip,
    UserAgent,
    Secret,
    FileName,
    Mime,
    TimeZone,
    Uuid,
    Date,
    Time,
    Moment,
    Json,
}

/// Words of names and what they mean. The first row counts of which all words are in the name.
const STYLES: &[(&[&str], Style)] = &[
    (&["user", "agent"], Style::UserAgent),
    (&["email"], Style::Email),
    (&["mail"], Style::Email),
    (&["ip"], Style::Ip),
    (&["url"], Style::Url),
    (&["uri"], Style::Url),
    (&["link"], Style::Url),
    (&["href"], Style::Url),
    (&["website"], Style::Url),
    (&["homepage"], Style::Url),
    (&["avatar"], Style::Url),
    (&["phone"], Style::Phone),
    (&["mobile"], Style::Phone),
    (&["tel"], Style::Phone),
    (&["fax"], Style::Phone),
    (&["uuid"], Style::Uuid),
    (&["guid"], Style::Uuid),
    (&["password"], Style::Secret),
    (&["token"], Style::Secret),
    (&["secret"], Style::Secret),
    (&["hash"], Style::Secret),
    (&["checksum"], Style::Secret),
    (&["first", "name"], Style::FirstName),
    (&["given", "name"], Style::FirstName),
    (&["firstname"], Style::FirstName),
    (&["last", "name"], Style::LastName),
    (&["family", "name"], Style::LastName),
    (&["lastname"], Style::LastName),
    (&["surname"], Style::LastName),
    (&["user", "name"], Style::UserName),
    (&["username"], Style::UserName),
    (&["login"], Style::UserName),
    (&["handle"], Style::UserName),
    (&["nick"], Style::UserName),
    (&["nickname"], Style::UserName),
    (&["company"], Style::Company),
    (&["organization"], Style::Company),
    (&["organisation"], Style::Company),
    (&["employer"], Style::Company),
    (&["file"], Style::FileName),
    (&["filename"], Style::FileName),
    (&["path"], Style::FileName),
    (&["mime"], Style::Mime),
    (&["content", "type"], Style::Mime),
    (&["slug"], Style::Slug),
    (&["title"], Style::Title),
    (&["subject"], Style::Title),
    (&["headline"], Style::Title),
    (&["city"], Style::City),
    (&["town"], Style::City),
    (&["country", "code"], Style::CountryCode),
    (&["country"], Style::Country),
    (&["zip"], Style::Zip),
    (&["postcode"], Style::Zip),
    (&["postal"], Style::Zip),
    (&["street"], Style::Street),
    (&["address"], Style::Street),
    (&["locale"], Style::Locale),
    (&["lang"], Style::Locale),
    (&["language"], Style::Locale),
    (&["currency"], Style::Currency),
    (&["color"], Style::Color),
    (&["colour"], Style::Color),
    (&["timezone"], Style::TimeZone),
    (&["time", "zone"], Style::TimeZone),
    (&["name"], Style::FullName),
    (&["author"], Style::FullName),
    (&["json"], Style::Json),
    (&["metadata"], Style::Json),
    (&["payload"], Style::Json),
    (&["settings"], Style::Json),
    (&["description"], Style::Sentence),
    (&["body"], Style::Sentence),
    (&["content"], Style::Sentence),
    (&["text"], Style::Sentence),
    (&["message"], Style::Sentence),
    (&["comment"], Style::Sentence),
    (&["note"], Style::Sentence),
    (&["notes"], Style::Sentence),
    (&["bio"], Style::Sentence),
    (&["summary"], Style::Sentence),
    (&["at"], Style::Moment),
    (&["timestamp"], Style::Moment),
    (&["datetime"], Style::Moment),
    (&["expires"], Style::Moment),
    (&["date"], Style::Date),
    (&["on"], Style::Date),
    (&["birthday"], Style::Date),
    (&["born"], Style::Date),
    (&["time"], Style::Time),
];

/// The words of a name: `snake_case`, `camelCase` and blanks are cut, all in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            out.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    out.extend(Some(word).filter(|word| !word.is_empty()));
    out
}

/// What the values of a text column of that name look like.
pub(super) fn style_of(name: &str) -> Style {
    let words = words(name);
    let has = |wanted: &&str| words.iter().any(|word| word == wanted);
    // `name` of a person's table is a person's; of other things a word is as good.
    let found = STYLES.iter().find(|(all, _)| all.iter().all(has));
    found.map_or(Style::Word, |(_, style)| *style)
}

/// Plausible whole numbers of a column of that name.
pub(super) fn numbers(name: &str) -> (i128, i128) {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&["age"]) {
        (18, 90)
    } else if has(&["year"]) {
        (1990, 2026)
    } else if has(&["month"]) {
        (1, 12)
    } else if has(&["day"]) {
        (1, 28)
    } else if has(&["percent", "percentage"]) {
        (0, 100)
    } else if has(&["ms", "millis"]) && has(&["at", "time", "timestamp"]) {
        (1_704_067_200_000, 1_767_225_599_000)
    } else if has(&["at", "timestamp"]) {
        (1_704_067_200, 1_767_225_599)
    } else if has(&["size", "bytes", "length"]) {
        (100, 1_000_000)
    } else if has(&["price", "amount", "total", "cost", "salary", "balance"]) {
        (1, 500)
    } else if has(&["lat", "latitude"]) {
        (-90, 90)
    } else if has(&["lng", "lon", "longitude"]) {
        (-180, 180)
    } else if has(&["rating", "stars"]) {
        (1, 5)
    } else if has(&["is", "has", "enabled", "active"]) {
        (0, 1)
    } else {
        (0, 1_000)
    }
}

/// Months after January 2024 in which a moment of that name lies. What comes later in life
/// comes later here, so that `ends_at > starts_at` holds.
pub(super) fn months(name: &str) -> (i128, i128) {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&["birth", "birthday", "born", "dob"]) {
        (-720, -240)
    } else if has(&["created", "start", "starts", "started", "begin", "from", "joined", "opened"]) {
        (0, 15)
    } else if has(&["expires", "expiry", "end", "ends", "ended", "due", "until", "to", "closed"]) {
        (36, 47)
    } else {
        (18, 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_word_by_word() {
        assert_eq!(words("userEmail_address2"), ["user", "email", "address2"]);
        for (name, style) in [
            ("email", Style::Email),
            ("billingEmail", Style::Email),
            ("created_at", Style::Moment),
            ("firstName", Style::FirstName),
            ("file_name", Style::FileName),
            ("chat", Style::Word),
            ("username", Style::UserName),
            ("strategy", Style::Word),
            ("content_type", Style::Mime),
        ] {
            assert_eq!(style_of(name), style, "{name}");
        }
    }
}
