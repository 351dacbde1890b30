import { ConfigError, readConfig } from './config.js'
import { openDatabaseOf } from './core.js'
import { Disposal } from './disposal.js'
import { forgetHost } from './engine/repositories/known-hosts.js'
import { createLogger } from './logger.js'

/** Forgets the recorded key of an SSH host that was given another one on purpose. */
async function forget(host: string | undefined): Promise<string> {
  if (!host) throw new ConfigError('name the host: npm run forget-host -- git.example.com')
  const config = readConfig()
  const opened = new Disposal()
  try {
    const { database } = await openDatabaseOf(config, createLogger(config.logLevel), opened)
    const gone = await forgetHost(database, host)
    if (gone.length === 0) throw new ConfigError(`no key of ${host} is recorded`)
    return `forgot the key of ${gone.join(', ')}: the next fetch trusts and records the one it finds`
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

try {
  process.stdout.write(`${await forget(process.argv[2])}\n`)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
