import Flags
import Glibc
import LifeCycle

/// `martlet bench` runs this program, which lies beside it.
@main struct Main {
    static func main() {
        // A peer that has gone is an error of a call, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let words = Array(CommandLine.arguments.dropFirst())
        MainThread.run { await BenchCommand.execute(words) }
    }
}
