//! Phone numbers.

use phonenumber::{Type, metadata::DATABASE};

/// A number that an SMS may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// `+` and digits.
    pub e164: String,
    /// ISO 3166, two letters.
    pub country: String,
}

/// What is not a number that an SMS may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is not a phone number of the form +4915112345678 that takes an SMS")]
pub struct BadNumber;

impl Number {
    /// Reads E.164, and asks the numbering plans.
    ///
    /// # Errors
    /// If there is no such number, or calling it is charged to whoever calls.
    pub fn parse(text: &str) -> Result<Self, BadNumber> {
        let digits = text.strip_prefix('+').ok_or(BadNumber)?;
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadNumber);
        }
        let number = phonenumber::parse(None, text).map_err(|_| BadNumber)?;
        let charged = match number.number_type(&DATABASE) {
            Type::PremiumRate | Type::SharedCost | Type::Uan | Type::Voicemail => true,
            Type::FixedLine
            | Type::Mobile
            | Type::FixedLineOrMobile
            | Type::TollFree
            | Type::PersonalNumber
            | Type::Voip
            | Type::Pager
            | Type::Emergency
            | Type::ShortCode
            | Type::StandardRate
            | Type::Carrier
            | Type::NoInternational
            | Type::Unknown => false,
        };
        if charged || !number.is_valid() {
            return Err(BadNumber);
        }
        let country = number.country().id().ok_or(BadNumber)?;
        Ok(Self { e164: text.to_owned(), country: country.as_ref().to_owned() })
    }

    /// The block of a thousand numbers that it is one of.
    #[must_use]
    pub fn block(&self) -> &str {
        let end = self.e164.len().saturating_sub(3);
        self.e164.get(..end).unwrap_or(&self.e164)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_their_country() {
        for (text, country) in [
            ("+4915112345678", "DE"),
            ("+436641234567", "AT"),
            ("+447400123456", "GB"),
            ("+12025550123", "US"),
            ("+14165550123", "CA"),
            ("+33612345678", "FR"),
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!((number.e164.as_str(), number.country.as_str()), (text, country));
        }
        assert_eq!(Number::parse("+4915112345678").unwrap().block(), "+4915112345");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "+",
            "4915112345678",
            "015112345678",
            "+49 151 12345678",
            "+999123456789",
            "+49",
            "+1202555",
            "+491511234567890123",
            "+49151\r\n2345678",
            "+٤٩١٥١١٢٣٤٥٦٧٨",
            // Charged to whoever calls.
            "+499001234567",
        ] {
            assert_eq!(Number::parse(text), Err(BadNumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let _ = Number::parse(&text);
        }

        #[test]
        fn no_digits_break_it(digits in "[0-9]{1,16}") {
            let _ = Number::parse(&format!("+{digits}"));
        }
    }
}
