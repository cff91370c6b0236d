import Flags
import LifeCycle
import Supervising

@main struct Main {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        MainThread.run { await MartletCommand.main(words) }
    }
}
