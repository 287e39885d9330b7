//! Which columns hold what must not be shown.

/// What stands in place of a secret value.
pub const REDACTED: &str = "***";

/// A column is secret when its name has one of these words (`api_key`, `passwordHash`), alone or in
/// the plural, or when they stand in it without a mark between (`accesstoken`), if they have more
/// than four letters.
pub const SECRET_WORDS: &[&str] = &[
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "cvc",
    "cvv",
    "dsn",
    "hash",
    "iban",
    "jwt",
    "key",
    "mnemonic",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "private",
    "pwd",
    "salt",
    "secret",
    "signature",
    "ssn",
    "token",
];
/// Shorter words are part of too many others (`monkey`, `opinion`).
const INSIDE_LETTERS_MIN: usize = 5;

/// Whether values under this name must not be shown.
pub fn is_secret(name: &str) -> bool {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        let starts = !c.is_alphanumeric() || (c.is_uppercase() && lower_before);
        if starts {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_numeric();
    }
    words.iter().any(|word| {
        let single = word.strip_suffix('s').unwrap_or(word);
        let whole = |secret: &str| secret == word || secret == single || es(word, secret);
        let inside = |secret: &str| secret.len() >= INSIDE_LETTERS_MIN && word.contains(secret);
        SECRET_WORDS.iter().any(|secret| whole(secret) || inside(secret))
    })
}

/// `hashes`, `passes`.
fn es(word: &str, secret: &str) -> bool {
    word.strip_suffix("es") == Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "token",
            "access_token",
            "refreshToken",
            "API_KEY",
            "apiKeys",
            "password_hash",
            "encryptedPassword",
            "PasswordHash",
            "salt",
            "hashes",
            "client-secret",
            "key",
            "accesstoken",
            "card_cvv",
            "pin",
            "authorization",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "id",
            "email",
            "monkey",
            "keyboard",
            "opinion",
            "compass",
            "author",
            "passenger_id",
            "name",
            "hashtag",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
