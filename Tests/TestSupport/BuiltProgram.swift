internal import Glibc

/// The path of an executable of this package, which the build has put beside the running tests. The test target must depend on it.
public func builtProgram(_ name: String) throws -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
        readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    let own = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    let path = own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/" + name
    guard access(String(path), X_OK) == 0 else {
        throw Tool.Failure(description: "\(path) is not there: build it first")
    }
    return String(path)
}
