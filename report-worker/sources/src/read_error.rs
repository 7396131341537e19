//! Why a read ended before its last row.

use model::problem::Problem;

/// Why a read ended before its last row. `E` is the error of the source's driver.
pub(crate) enum ReadError<E> {
    /// The connection or the server.
    Driver(E),
    /// What was read, or asked for.
    Problem(Problem),
    /// The stream was dropped or cancelled.
    Stopped,
}

impl<E> From<Problem> for ReadError<E> {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
