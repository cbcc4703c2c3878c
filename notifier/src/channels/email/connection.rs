//! A letter's way to the server, step by step, each with its time limit.

use lettre::{
    Address,
    transport::smtp::{
        self,
        authentication::Mechanism,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
    },
};

use super::{Email, Error, Security, Step};

impl Email {
    /// An open connection that answers.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        if let Some(mut connection) = self.take_idle() {
            let alive = connection.test_connected();
            if tokio::time::timeout(self.settings.step_timeout, alive).await == Ok(true) {
                return Ok(connection);
            }
        }
        let settings = &self.settings;
        let (server, hello) = ((settings.host.as_str(), settings.port), &settings.hello);
        let (at_once, later) = match &settings.security {
            Security::None => (None, None),
            Security::StartTls(tls) => (None, Some(tls.clone())),
            Security::Tls(tls) => (Some(tls.clone()), None),
        };
        let connecting = AsyncSmtpConnection::connect_tokio1(server, None, hello, at_once, None);
        let mut connection = self.within(Step::Connect, connecting).await?;
        if let Some(tls) = later {
            self.within(Step::Connect, connection.starttls(tls, hello)).await?;
        }
        if let Some(credentials) = &settings.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.within(Step::SignIn, connection.auth(&mechanisms, credentials)).await?;
        }
        Ok(connection)
    }

    /// Hands over one letter, for one person.
    pub(super) async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: Address,
        letter: &[u8],
    ) -> Result<(), Error> {
        let from = &self.settings.from.email;
        let server = connection.server_info();
        let mut parameters = Vec::new();
        if ![from, &to].iter().all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(Error::Compose("the server takes no such address (SMTPUTF8)"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !letter.is_ascii() {
            if !server.supports_feature(Extension::EightBitMime) {
                return Err(Error::Compose("the server takes no such letter (8BITMIME)"));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mail = Mail::new(Some(from.clone()), parameters);
        self.within(Step::Sender, connection.command(mail)).await?;
        let rcpt = Rcpt::new(to, Vec::new());
        self.within(Step::Recipient, connection.command(rcpt)).await?;
        self.within(Step::Data, connection.command(Data)).await?;
        self.within(Step::Content, connection.message(letter)).await?;
        Ok(())
    }

    async fn within<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, smtp::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.settings.step_timeout, work).await {
            Ok(done) => done.map_err(|error| Error::at(step, &error)),
            Err(_) => Err(Error::Lost { step, why: "no answer in time" }),
        }
    }
}
