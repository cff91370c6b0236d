/// What `martlet listen` was asked for.
public struct ListenOptions: Sendable {
    /// A numeric address to listen on.
    public var host = "127.0.0.1"
    /// 0: any that is free.
    public var port: UInt16 = 9000
    /// `whsec_…` and `whpk_…`; with none, signatures are shown and not verified.
    public var secrets: [String] = []
    /// The first so many requests are answered with 500.
    public var failFirst = 0
    /// What the others are answered with.
    public var status = 200
    /// How long each answer is held back.
    public var delayMilliseconds = 0
    /// One JSON object per request instead of text.
    public var json = false

    public init() {}
}

/// Why `listen` cannot start as asked.
public struct ListenOptionError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

extension ListenOptions {
    func check() throws(ListenOptionError) {
        guard (200...599).contains(status) else {
            throw ListenOptionError(description: "--status \(status): expected 200 to 599")
        }
        guard failFirst >= 0 else {
            throw ListenOptionError(description: "--fail-first \(failFirst): expected 0 or more")
        }
        guard (0...600_000).contains(delayMilliseconds) else {
            throw ListenOptionError(description: "--delay \(delayMilliseconds): expected 0 to 600000 milliseconds")
        }
    }
}
