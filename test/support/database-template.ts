import { openDatabase } from '../../src/database.js'
import { databaseUrl, TEMPLATE } from './database.js'
import { onDatabase } from './tables.js'

/** Once on each server, before databases are made of it. Apart from them: it loads all that migrates a database. */
export async function makeTemplate(server: string): Promise<void> {
  await onDatabase(server, `DROP DATABASE IF EXISTS ${TEMPLATE}`)
  await onDatabase(server, `CREATE DATABASE ${TEMPLATE}`)
  await (await openDatabase(databaseUrl(server, TEMPLATE))).destroy()
}
