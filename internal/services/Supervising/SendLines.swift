internal import EventLoops
internal import Glibc

/// The lines of a file or of standard input, without the empty ones. Reading may block for as long as another program takes to
/// write, so each read has a thread of its own and never one of the cooperative pool.
struct SendLines {
    struct Line: Sendable {
        /// From 1, the empty ones counted.
        var number: Int
        var bytes: [UInt8]
    }

    /// No event is longer; a line that is ends the reading.
    static let maximumLineBytes = 1 << 20

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// What `buffer` holds before it was handed out.
    private var start = 0
    private var number = 0
    private var hasEnded = false

    /// The descriptor stays the caller's. `read` are bytes that were read from it before.
    init(descriptor: Int32, read: [UInt8] = []) {
        self.descriptor = descriptor
        buffer = read
    }

    /// The next line; nil at the end.
    mutating func next() async throws(SendError) -> Line? {
        while true {
            if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = take(upTo: end)
                start = end + 1
                if let line { return line }
            } else if hasEnded {
                defer { start = buffer.count }
                return start < buffer.count ? take(upTo: buffer.count) : nil
            } else {
                try await fill()
            }
        }
    }

    private mutating func take(upTo end: Int) -> Line? {
        number += 1
        var bytes = buffer[start..<end]
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        let isBlank = bytes.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return isBlank ? nil : Line(number: number, bytes: Array(bytes))
    }

    private mutating func fill() async throws(SendError) {
        buffer.removeSubrange(..<start)
        start = 0
        guard buffer.count <= Self.maximumLineBytes else {
            throw SendError(description: "line \(number + 1) is longer than \(Self.maximumLineBytes) bytes")
        }
        let chunk = try await Self.read(descriptor).get()
        hasEnded = chunk.isEmpty
        buffer += chunk
    }

    /// Some bytes, none at the end.
    static func read(_ descriptor: Int32) async -> Result<[UInt8], SendError> {
        await withCheckedContinuation { continuation in
            NativeThread.start(name: "read-lines") {
                var chunk = [UInt8](repeating: 0, count: 64 << 10)
                var count = Glibc.read(descriptor, &chunk, chunk.count)
                while count < 0, errno == EINTR { count = Glibc.read(descriptor, &chunk, chunk.count) }
                if count < 0 {
                    let reason = String(cString: strerror(errno))
                    continuation.resume(returning: .failure(SendError(description: "cannot read the input: \(reason)")))
                } else {
                    continuation.resume(returning: .success(Array(chunk[..<count])))
                }
            }
        }
    }
}
