import Flags
import LifeCycle

@main struct Main {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        MainThread.run { await BenchMicro.execute(words) }
    }
}
