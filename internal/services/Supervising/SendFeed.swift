internal import Glibc
internal import JSONScanning

/// The events of `send`, one after another. Used by one task.
final class SendFeed {
    private var single: [UInt8]?
    private var lines: SendLines?
    private let descriptor: Int32?

    /// Throws where a file cannot be opened or read.
    init(_ input: SendInput) async throws(SendError) {
        switch input {
        case .event(let event):
            single = try SendEventBody.body(of: event)
            descriptor = nil
        case .standardInput:
            lines = SendLines(descriptor: 0)
            descriptor = nil
        case .file(let path):
            let opened = open(path, O_RDONLY | O_CLOEXEC)
            guard opened >= 0 else { throw SendError(description: "\(path): \(String(cString: strerror(errno)))") }
            descriptor = opened
            let (start, isWhole) = try await Self.start(of: opened)
            if isWhole, JSONValue(answer: start) != nil {
                single = SendEventBody.identified(start)
            } else {
                lines = SendLines(descriptor: opened, read: start)
            }
        }
    }

    deinit {
        if let descriptor { close(descriptor) }
    }

    /// The next event with an id of its own; nil at the end.
    func next() async throws(SendError) -> SendLines.Line? {
        if let body = single {
            single = nil
            return SendLines.Line(number: 1, bytes: body)
        }
        guard var line = try await lines?.next() else { return nil }
        line.bytes = SendEventBody.identified(line.bytes)
        return line
    }

    /// As much of a file as one event could be, and whether that is all: one event may be written over several lines.
    private static func start(of descriptor: Int32) async throws(SendError) -> ([UInt8], isWhole: Bool) {
        var bytes: [UInt8] = []
        while bytes.count <= SendLines.maximumLineBytes {
            let chunk = try await SendLines.read(descriptor).get()
            if chunk.isEmpty { return (bytes, true) }
            bytes += chunk
        }
        return (bytes, false)
    }
}
