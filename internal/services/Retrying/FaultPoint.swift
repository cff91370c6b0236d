internal import Glibc
internal import Synchronization

/// Where a test can have the process killed: `FAULT_POINT=<name>:<n>` ends it as by kill -9 when it comes there for
/// the n-th time. Debug builds only; a release build has none of it.
enum FaultPoint: String {
    case fenceWritten, opened, owedRetired, indexed, claimed, released, beforeFire, fired, retired, beforeRemove,
        removed

    #if DEBUG
        private static let armed: (name: String, count: Int)? = {
            guard let text = getenv("FAULT_POINT").map({ String(cString: $0) }) else { return nil }
            let parts = text.split(separator: ":")
            guard parts.count == 2, let count = Int(parts[1]) else {
                fatalError("FAULT_POINT is no name:number")
            }
            return (String(parts[0]), count)
        }()
        private static let passed = Atomic<Int>(0)
    #endif

    @inline(__always)
    func pass() {
        #if DEBUG
            guard let armed = Self.armed, armed.name == rawValue else { return }
            if Self.passed.add(1, ordering: .relaxed).newValue == armed.count { kill(getpid(), SIGKILL) }
        #endif
    }
}
