internal import EventLoops
internal import Glibc

/// A folder with room for only so much, to be filled: a file system in memory. Making one takes root.
public final class SmallDisk: Sendable {
    public let path: String
    private var ballast: String { path + "/ballast" }

    /// - Throws: Where the process may not mount.
    public init(mebibytes: Int) async throws {
        path = try temporaryDirectory("disk")
        try await Tool.run("mount", ["-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=0777", "none", path])
    }

    /// Takes all the room that is left.
    public func fill() throws {
        let descriptor = open(ballast, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard descriptor >= 0 else { throw SystemError(call: "open \(ballast)", code: errno) }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 0, count: 4_096)
        while write(descriptor, block, block.count) > 0 {}
        guard errno == ENOSPC else { throw SystemError(call: "write \(ballast)", code: errno) }
    }

    /// Gives it back.
    public func free() { unlink(ballast) }
}
