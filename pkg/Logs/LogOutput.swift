internal import CLinux
internal import Glibc
internal import Synchronization

/// Where lines go: one descriptor of one service, with the least level that it takes.
public final class LogOutput: Sendable {
    private let service: String
    private let rank: Atomic<UInt8>
    private let sink: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - descriptor: Where each line goes in one `write(2)`; standard output unless told.
    public convenience init(service: String, level: Logger.Level = .info, descriptor: Int32 = 1) {
        // The lock keeps lines whole where the kernel takes a long one (over 4,096 bytes to a pipe) in parts.
        let lock = Mutex(())
        self.init(service: service, level: level) { line in
            lock.withLock { _ in Self.write(line, to: descriptor) }
        }
    }

    /// Hands each line, with its line feed, to `sink`, which may be called from any thread.
    public init(service: String, level: Logger.Level = .info, sink: @escaping @Sendable ([UInt8]) -> Void) {
        self.service = service
        rank = Atomic(level.rank)
        self.sink = sink
    }

    /// The least level that is written; may be changed at any time.
    public var level: Logger.Level {
        get { Logger.Level.allCases[Int(rank.load(ordering: .relaxed))] }
        set { rank.store(newValue.rank, ordering: .relaxed) }
    }

    func write(level: Logger.Level, label: String, message: String, metadata: Logger.Metadata) {
        var line = LogLine(capacity: 256)
        line.begin(timeMs: clinux_realtime_ms(), level: level, service: service, label: label, message: message)
        line.append(metadata)
        sink(line.finished())
    }

    /// A descriptor that fails loses the line: there is nowhere left to say so.
    private static func write(_ line: [UInt8], to descriptor: Int32) {
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if count < 0, errno == EAGAIN {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&waiting, 1, 1_000)
                } else if count < 0, errno != EINTR {
                    return
                }
            }
        }
    }
}

/// The output that loggers get which are made without one.
public enum LoggingSystem {
    private static let shared = Mutex(LogOutput(service: "martlet"))

    /// Loggers made from now on write there: called once, before any is made.
    public static func bootstrap(_ output: LogOutput) { shared.withLock { $0 = output } }

    public static var output: LogOutput { shared.withLock { $0 } }
}
