import { ROOT } from './lib/dependencies.mjs'
import { runQuietly, script } from './lib/run.mjs'

const CHECKS = ['format', 'lint', 'types', 'schema']

/** All checks at once: each alone leaves most of a processor idle. Says what each of those that fail found. */
await script(async () => {
  const checks = CHECKS.map((name) =>
    runQuietly(name, 'npm', ['run', '--silent', `check:${name}`], { cwd: ROOT }),
  )
  const failed = (await Promise.allSettled(checks)).filter(({ status }) => status === 'rejected')
  if (failed.length > 0) throw new Error(failed.map(({ reason }) => reason.message).join('\n\n'))
})
