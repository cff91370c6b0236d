internal import Synchronization

/// One round of work on a connection.
enum Request {
    /// Statements with parameters. Several go out together and are one implicit transaction: all take effect or none.
    case statements([PostgresStatement])
    /// Statements separated by semicolons, without parameters; one implicit transaction unless the text says otherwise.
    case script(String)
    /// `COPY … FROM STDIN` and its data.
    case copyIn(sql: String, data: [UInt8])
}

/// A request waiting for, or in, its turn on a connection. Confined to the loop's thread.
struct Operation {
    typealias Completion = (Result<[PostgresRows], PostgresError>) -> Void
    var id: UInt64
    var request: Request
    var timeoutMilliseconds: UInt64
    var completion: Completion

    private static let lastID = Atomic<UInt64>(0)

    /// Unique in the process: a late abort of one borrower's statement must not meet the next borrower's.
    static func nextID() -> UInt64 { lastID.wrappingAdd(1, ordering: .relaxed).newValue }

    /// How far the operation that has the connection got.
    enum Stage: Equatable {
        /// Sent, or being sent; results come. To `copying` when the server asks for data, else to the end.
        case receiving
        /// Handing data over from `offset` on. To `receiving` when all of it is with libpq.
        case copying(offset: Int)
    }
}
