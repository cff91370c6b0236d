internal import EventLoops
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// A new directory under /tmp which any user may enter. Those of test processes that have ended are removed by the next one.
public func temporaryDirectory(_ purpose: String) throws -> String {
    removeLeftovers()
    var template = Array("/tmp/martlet-tests-\(getpid())-\(purpose)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError(call: "mkdtemp", code: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o777)
    return path
}

/// Removes a directory and what is in it, and what is mounted there (`SmallDisk`); nothing to be said where that fails.
public func removeDirectory(_ path: String) {
    umount2(path, Int32(MNT_DETACH))
    try? FileManager.default.removeItem(atPath: path)
}

private let hasLooked = Atomic<Bool>(false)

private func removeLeftovers() {
    guard !hasLooked.exchange(true, ordering: .relaxed) else { return }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/tmp")) ?? [] {
        let words = name.split(separator: "-")
        guard words.count > 3, words[0] == "martlet", words[1] == "tests", let pid = Int32(words[2]) else { continue }
        if kill(pid, 0) != 0, errno == ESRCH { removeDirectory("/tmp/" + name) }
    }
}
