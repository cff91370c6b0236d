/// How a call ended other than well. Handlers throw it; callers catch it.
public struct GRPCStatus: Error, Equatable, Sendable, CustomStringConvertible {
    /// https://grpc.io/docs/guides/status-codes/
    public enum Code: Int32, Sendable, CaseIterable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    public var code: Code
    /// For people; 1 KiB of it is sent.
    public var message: String
    /// For programs: sent as trailing metadata.
    public var metadata: GRPCMetadata

    public init(_ code: Code, _ message: String, metadata: GRPCMetadata = [:]) {
        self.code = code
        self.message = message
        self.metadata = metadata
    }

    public var description: String { "\(code): \(message)" }

    /// What the peer is told of the message: gRPC limits headers to 8 KiB, and percent-encodes what is not ASCII.
    var sentMessage: String {
        guard message.utf8.count > 1024 else { return message }
        var cut = ""
        var size = 0
        for scalar in message.unicodeScalars {
            size += UTF8.width(scalar)
            guard size <= 1024 else { break }
            cut.unicodeScalars.append(scalar)
        }
        return cut
    }
}
