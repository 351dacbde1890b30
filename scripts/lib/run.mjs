import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'

/** Runs a program with an argument list; its output goes to ours. @throws Error with the exit code */
export async function run(file, args, options = {}) {
  const child = spawn(file, args, { stdio: 'inherit', ...options, shell: false })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${signal ?? `exit code ${code}`}`)
}

/**
 * Runs a program that says much: shows a line every 5 s, and all that it said only when it failed.
 *
 * @throws Error with the output's end
 */
export async function runQuietly(title, file, args, options = {}) {
  const startedAt = Date.now()
  const seconds = () => Math.round((Date.now() - startedAt) / 1000)
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], shell: false })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => (said = (said + bytes.toString('utf8')).slice(-20_000)))
  }
  const ticker = setInterval(() => say(`  ${title}: ${seconds()} s · ${lastLine(said)}`), 5_000)
  try {
    const [code] = await once(child, 'exit')
    if (code !== 0)
      throw new Error(`${title} failed (${[file, ...args].join(' ')}, exit code ${code}):\n${said}`)
    say(`  ${title}: done in ${seconds()} s`)
  } finally {
    clearInterval(ticker)
  }
}

export function say(text) {
  process.stdout.write(`${text}\n`)
}

function lastLine(text) {
  return (text.trimEnd().split('\n').at(-1) ?? '').slice(0, 90)
}

/** What every script takes: it may have to install something. */
const COMMON = { help: { type: 'boolean' }, yes: { type: 'boolean' } }

/**
 * For scripts. `main` gets the values of `options` (as parseArgs of node:util takes them) and the names beside them. An
 * option that the script does not have ends it before it does anything, as does a name where it takes none; `--help` prints
 * `usage`. An error is a sentence for a person, not a stack.
 */
export async function script({ usage, options = {}, takesNames = false }, main) {
  try {
    const given = parseArgs({ options: { ...COMMON, ...options }, allowPositionals: takesNames })
    if (given.values.help) return say(usage)
    await main(given.values, given.positionals)
  } catch (error) {
    process.stderr.write(`\n${process.env.LOG_LEVEL === 'debug' ? error.stack : error.message}\n`)
    process.exitCode = 1
  }
}
