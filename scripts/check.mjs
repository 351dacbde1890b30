import { ROOT } from './lib/dependencies.mjs'
import { runQuietly, script } from './lib/run.mjs'

/** What is in one list shares a file of the compiler's, and goes one after the other. */
const CHECKS = [['lint'], ['format'], ['types', 'schema', 'rules']]

/** All checks at once: each alone leaves most of a processor idle. Says what each of those that fail found. */
await script(
  { usage: 'npm run check: format, lint, types, schema.graphql and the rules of the sources' },
  async () => {
    const failed = (await Promise.all(CHECKS.map(check))).flat()
    if (failed.length > 0) throw new Error(failed.join('\n\n'))
  },
)

/** Gives what the checks that fail said. */
async function check(names) {
  const failed = []
  for (const name of names) {
    const checking = runQuietly(name, 'npm', ['run', '--silent', `check:${name}`], { cwd: ROOT })
    await checking.catch((error) => failed.push(error.message))
  }
  return failed
}
