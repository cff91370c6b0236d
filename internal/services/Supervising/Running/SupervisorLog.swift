internal import Glibc
internal import Synchronization

/// The file that a detached supervisor writes to, bounded: when it is full it becomes `….log.1`, in the place of the one before, and a
/// new one begins. Usable from any thread.
final class SupervisorLog: Sendable {
    private let path: String
    private let maxBytes: Int
    /// The descriptors that write to it; none before `take(over:)`.
    private let descriptors = Mutex<[Int32]>([])

    /// - Parameter maxBytes: of one file; there are two.
    init(_ path: String, maxBytes: Int = 16 << 20) {
        self.path = path
        self.maxBytes = maxBytes
    }

    /// From now on what is written to these descriptors goes to the file, behind what is there.
    func take(over wanted: [Int32]) throws(SupervisionError) {
        let isOpen = descriptors.withLock { descriptors in
            descriptors = wanted
            return point(descriptors)
        }
        guard isOpen else { throw SupervisionError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
        rotateWhenFull()
    }

    /// To be called after each line. Where no new file can be opened the old one is written on.
    func rotateWhenFull() {
        descriptors.withLock { descriptors in
            var status = stat()
            guard let first = descriptors.first, fstat(first, &status) == 0, status.st_size >= maxBytes else { return }
            rename(path, path + ".1")
            _ = point(descriptors)
        }
    }

    private func point(_ descriptors: [Int32]) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        for descriptor in descriptors { dup2(file, descriptor) }
        close(file)
        return true
    }
}
