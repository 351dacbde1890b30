import { type Config, ConfigError, readConfig } from './config.js'
import { openDatabaseOf } from './core.js'
import { Disposal } from './disposal.js'
import { tryWithAdvisoryLock } from './engine/sql/advisory-lock.js'
import { createFailpoint } from './engine/failpoints.js'
import { openInstance, WrongKeyError } from './engine/secrets/instance.js'
import { addKey, forgetPreviousKeys, keyFile } from './engine/secrets/master-key.js'
import { rotateKey } from './engine/secrets/rotate-key.js'
import { createLogger } from './logger.js'

/** One rotation at a time: any number, the same in all versions. */
const ROTATION_LOCK = 7_305_516_997

/**
 * Changes the master key: everything is encrypted again with the new one, and the one before is forgotten. With
 * MASTER_KEY the new key is that, and MASTER_KEY_PREVIOUS the one used so far; otherwise a new one is made in DATA_DIR.
 * Broken off at any point, also by kill -9, it goes on when it is run again.
 */
async function rotateMasterKey(config: Config): Promise<string[]> {
  if (config.masterKey !== null && config.masterKeyPrevious === null) {
    throw new ConfigError('set MASTER_KEY to the new key and MASTER_KEY_PREVIOUS to the current one')
  }
  const opened = new Disposal()
  try {
    const { database } = await openDatabaseOf(config, createLogger(config.logLevel), opened)
    let said: string[] = []
    const hasRun = await tryWithAdvisoryLock(database, ROTATION_LOCK, async () => {
      await openInstance(database, config) // the key that is there opens what is there
      if (config.masterKey === null) await addKey(config.dataDir)
      const { secrets } = await openInstance(database, config)
      const rotation = await rotateKey(database, secrets, createFailpoint(config.failpoint))
      if (config.masterKey === null) await forgetPreviousKeys(config.dataDir)
      said = [
        `${rotation.count} values are encrypted with the new key ${secrets.keyId}`,
        ...rotation.unreadable.map((what) => `skipped, because no key decrypts it: ${what}; set it again`),
        config.masterKey === null
          ? `back up ${keyFile(config.dataDir)}, then start Longshore`
          : 'remove MASTER_KEY_PREVIOUS from the settings and restart Longshore',
      ]
    })
    if (!hasRun) throw new ConfigError('another rotation of this database is in progress: wait for it')
    return said
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

try {
  for (const line of await rotateMasterKey(readConfig())) process.stdout.write(`${line}\n`)
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof WrongKeyError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
