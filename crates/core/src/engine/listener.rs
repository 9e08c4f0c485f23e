//! What is heard of a running engine, and how it is answered.

use crate::journal::Statement;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal, which we did not send.
    Signalled(i32),
    /// We ended it: the time limit was over.
    TimedOut,
    /// We ended it: the operator insisted.
    Interrupted,
}

/// What hears of a running child, in the caller's thread.
pub trait Listener {
    /// It printed a line on stdout or stderr.
    fn line(&mut self, _line: &str) {}

    /// It wrote a line into the side channel, and may be answered there.
    fn on_message(&mut self, _line: &str, _channel: &mut dyn Channel) {}

    /// A statement of a script is about to be sent, or is done, where each one stays done. The error is a
    /// sentence, and ends the step before the next one.
    fn statement(&mut self, _statement: &Statement) -> Result<(), String> {
        Ok(())
    }

    /// SHA-256 of the schema as it is now; `None` where it cannot be read.
    fn schema(&mut self) -> Option<String> {
        None
    }

    /// Nothing of the step can be in the database: it never began, or the server confirmed that it rolled all of it
    /// back.
    fn left_nothing(&mut self) {}

    /// Something about how it is run, for those who want to know all.
    fn on_debug(&mut self, _text: &str) {}

    /// About twice a second, unless it is being talked with. While this lasts nobody looks at the time limit.
    fn on_tick(&mut self) {}
}

/// The way back to a child through the side channel.
pub trait Channel {
    /// Writes a line. Whether it is read is for the child to say.
    fn send(&mut self, line: &str);

    /// Writes a line and waits for the next one; `None` where none comes, because the child ended or
    /// was ended meanwhile. Time limit and signals count as ever.
    fn request(&mut self, line: &str) -> Option<String>;

    /// What it printed so far belongs to what is over, and the time limit starts again.
    fn cut(&mut self) {}
}

/// Hears nothing.
pub struct NoListener;

impl Listener for NoListener {}

/// The way back to a child that has ended.
pub struct NoChannel;

impl Channel for NoChannel {
    fn send(&mut self, _: &str) {}

    fn request(&mut self, _: &str) -> Option<String> {
        None
    }
}

/// Hears the printed lines only.
pub struct Lines<'a>(pub &'a mut dyn FnMut(&str));

impl Listener for Lines<'_> {
    fn line(&mut self, line: &str) {
        (self.0)(line);
    }
}
