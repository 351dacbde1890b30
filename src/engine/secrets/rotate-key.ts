import type { DataSource, EntityManager } from 'typeorm'
import { lockKeyExclusive } from './instance.js'
import { SEALED_COLUMNS, type SealedColumn } from './sealed-columns.js'
import type { SecretBox } from './secrets.js'

/** Rows of one transaction: everybody who deploys waits while it lasts. */
const BATCH = 100

/** What a rotation did. */
export interface Rotation {
  readonly count: number
  /** Values that none of the keys opens, in words; they were left as they are. */
  readonly unreadable: readonly string[]
}

/** One pass over everything that is encrypted, and what it has found so far. */
interface Round {
  readonly secrets: SecretBox
  /** Called after each batch. */
  readonly failpoint: (point: string) => void
  count: number
  readonly unreadable: string[]
}

/** Where a batch begins: behind a row of a column. */
interface Place {
  readonly column: SealedColumn
  readonly after: string
}

/**
 * Encrypts everything again that another key than the box's newest one has encrypted, in short transactions, while others
 * go on working. Can be broken off at any time and run again: it goes on with what is left.
 *
 * When it returns, nothing is left that needs an older key.
 */
export async function rotateKey(
  database: DataSource,
  secrets: SecretBox,
  failpoint: (point: string) => void = () => undefined,
): Promise<Rotation> {
  let count = 0
  for (;;) {
    const round: Round = { secrets, failpoint, count: 0, unreadable: [] }
    for (const column of SEALED_COLUMNS) await rotateColumn(database, column, round)
    count += round.count
    // A row that was copied meanwhile may stand before the place that the round had reached.
    if (round.count === 0) return { count, unreadable: round.unreadable }
  }
}

async function rotateColumn(database: DataSource, column: SealedColumn, round: Round): Promise<void> {
  let at: string | null = ''
  while (at !== null) {
    const after: string = at
    at = await database.transaction((manager) => rotateBatch(manager, { column, after }, round))
    round.failpoint('rotated-batch')
  }
}

/** Gives where the next batch begins; null: there is none. */
async function rotateBatch(
  manager: EntityManager,
  { column, after }: Place,
  round: Round,
): Promise<string | null> {
  await lockKeyExclusive(manager)
  const sql = `${column.find} ORDER BY at LIMIT ${BATCH} FOR NO KEY UPDATE`
  const rows = await manager.query<{ at: string }[]>(sql, [round.secrets.keyId, after])
  for (const row of rows) {
    const { parameters, count, unreadable } = column.reseal(row as never, round.secrets)
    round.unreadable.push(...unreadable)
    if (count > 0) await manager.query(column.replace, [...parameters])
    round.count += count
  }
  return rows.length < BATCH ? null : (rows.at(-1)?.at ?? null)
}
