/// Why a statement, or getting a connection for it, failed.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The server is away, refused the login, or the connection broke.
        case connection
        /// The server answered with an error: see `sqlState`.
        case server
        /// The statement ran longer than allowed; it was cancelled.
        case statementTimeout
        /// No connection became free in time, or too many requests wait for one already.
        case acquireTimeout
        /// The caller's task was cancelled.
        case cancelled
        /// The pool was closed.
        case closed
        /// A value cannot be sent, or the API was used against its contract.
        case usage
    }

    public var kind: Kind
    /// The five characters of SQLSTATE where the server gave one.
    public var sqlState: String?
    /// The primary message. Never holds values of rows, nor a password.
    public var message: String
    /// What else the server said. `detail` may quote values of the row concerned: not for logs.
    public var detail: String?
    public var hint: String?
    public var table: String?
    public var column: String?
    public var constraint: String?

    public init(_ kind: Kind, _ message: String, sqlState: String? = nil) {
        self.kind = kind
        self.message = message
        self.sqlState = sqlState
    }

    public var description: String {
        let state = sqlState.map { " (SQLSTATE \($0))" } ?? ""
        return "PostgreSQL: \(message)\(state)"
    }

    /// The database could not be reached or is going away: the same statement may succeed later.
    public var isConnectionFailure: Bool {
        if kind == .connection || kind == .acquireTimeout { return true }
        guard let sqlState else { return false }
        return sqlState.hasPrefix("08") || ["57P01", "57P02", "57P03", "53300"].contains(sqlState)
    }

    /// The data itself was refused (encoding, range, syntax of a value, a constraint): repeating cannot help.
    public var isDataError: Bool {
        guard let sqlState else { return false }
        return sqlState.hasPrefix("22") || sqlState.hasPrefix("23")
    }

    public var isUniqueViolation: Bool { sqlState == "23505" }

    /// A serialization failure or a deadlock: the whole transaction may be repeated.
    public var isSerializationFailure: Bool { sqlState == "40001" || sqlState == "40P01" }
}

/// A column that is not what the caller took it for.
public struct PostgresDecodingError: Error, Sendable, CustomStringConvertible {
    public var column: String
    /// What was expected, in words.
    public var expectation: String
    /// What was there instead, shortened; "no such column" and "NULL" included.
    public var found: String

    public var description: String { "PostgreSQL: column \(column): expected \(expectation), found \(found)" }
}
