import { once } from 'node:events'
import { takeGitEnvironment } from '../../../environment.js'
import { writeArchive } from './archive.js'
import { type Command, type Context, Fatal } from './command.js'
import { readInvocation } from './invocation.js'
import { loadNodegit, type Repository } from './library.js'
import { listTree } from './list-tree.js'
import { catFile } from './cat-file.js'
import { diffTrees } from './diff-tree.js'
import { receive } from './receive.js'
import { deleteRef, initialize, listRefs } from './refs.js'
import { showId, showVersion } from './show-id.js'
import { listRemote } from './list-remote.js'
import { showCommit } from './show-commit.js'

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['init', initialize],
  ['fetch', receive],
  ['ls-remote', listRemote],
  ['for-each-ref', listRefs],
  ['update-ref', deleteRef],
  ['log', showCommit],
  ['ls-tree', listTree],
  ['cat-file', catFile],
  ['diff-tree', diffTrees],
  ['archive', writeArchive],
  ['rev-parse', showId],
  ['version', showVersion],
])

/** git's exit code for what it cannot do at all. */
const FATAL = 128

/**
 * Git's plumbing on libgit2, as far as Longshore uses it: the same arguments, output, messages and exit codes. A program of
 * its own, because libgit2 has no time-outs, cannot be interrupted everywhere, and may crash: a process can be killed.
 *
 * @param args where nodegit is, the protocols that may be used, and the arguments of git
 */
async function run([nodegitPath = '', protocols = '', ...args]: readonly string[]): Promise<number> {
  const invocation = readInvocation(args)
  const command = COMMANDS.get(invocation.command)
  try {
    if (!command) throw new Fatal(`'${invocation.command}' is no command of GIT_BACKEND=nodegit`)
    const environment = takeGitEnvironment()
    const nodegit = loadNodegit(nodegitPath)
    let repository: Promise<Repository> | undefined
    await command({
      ...environment,
      nodegit,
      invocation,
      protocols: protocols.split(':'),
      write,
      say,
      open: () => (repository ??= nodegit.Repository.openBare(invocation.folder)),
    } satisfies Context)
    return 0
  } catch (error) {
    const lines = error instanceof Fatal ? error.lines : `fatal: ${(error as Error).message}`
    say(isLineOpen ? `\n${lines}\n` : `${lines}\n`)
    return FATAL
  }
}

/** Whether the next thing that is said would overwrite the last one. */
let isLineOpen = false

function say(text: string): void {
  isLineOpen = !text.endsWith('\n')
  process.stderr.write(text)
}

async function write(bytes: Buffer | string): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain')
}

const exitCode = await run(process.argv.slice(2))
// What is still to be written goes first; threads of libgit2 would keep the process.
process.stdout.write('', () => process.exit(exitCode))
