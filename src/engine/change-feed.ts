import type { DataSource } from 'typeorm'
import { badInput } from './command-error.js'
import { type Node, readNodes } from './nodes.js'
import type { Queryable } from './sql/queryable.js'
import { PullIterator, type Shareable } from './wakeups/pull-iterator.js'
import type { Wakeups } from './wakeups/wakeups.js'

export type ChangeEvent = 'CREATED' | 'UPDATED' | 'DELETED' | 'RESET'

/** Something has changed, or everything may have (RESET). */
export interface Change {
  /** Where this change is in the feed: who has seen it goes on after it. */
  readonly cursor: string
  readonly at: Date
  readonly event: ChangeEvent
  readonly id: string | null
  readonly typename: string | null
  /** As it is now; null: it is gone. */
  readonly node: Node | null
}

/** Changes that one viewer holds. */
const PAGE = 20
/** While a transaction is under way that is older than changes which are committed already. */
const RETRY_MS = 50

/** Where a change is in the feed. */
interface FeedPosition {
  readonly xid: string
  readonly id: string
  readonly at: Date
  /** Transactions that were under way when the feed began: of those before `unseenFrom`, only theirs are still to come. */
  readonly underWay: readonly string[]
  readonly unseenFrom: string
}

interface ChangeRow extends Pick<FeedPosition, 'xid' | 'id' | 'at'> {
  readonly event: ChangeEvent
  readonly typename: string
  readonly nodeId: string
}

const NOW = `
  SELECT pg_snapshot_xmin(s)::text AS xid, '0' AS id, now() AS at, pg_snapshot_xmax(s)::text AS "unseenFrom",
         ARRAY(SELECT x::text FROM pg_snapshot_xip(s) x) AS "underWay" FROM pg_current_snapshot() s`

/** Of transactions that are older than every one under way: no change before these can come any more. */
const PAGE_AFTER = `
  SELECT c.xid::text, c.id::text, c.at, c.event, c.typename, c.node_id AS "nodeId" FROM change c
   WHERE (c.xid, c.id) > ($1::xid8, $2::bigint) AND c.xid < pg_snapshot_xmin(pg_current_snapshot())
     AND ($3::text IS NULL OR c.app_id = $3) AND (c.xid >= $4::xid8 OR c.xid = ANY ($5::xid8[]))
   ORDER BY c.xid, c.id LIMIT ${PAGE}`

const HAS_UNREADABLE = `SELECT EXISTS (SELECT 1 FROM change
   WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()) AND ($1::text IS NULL OR app_id = $1)) AS found`

/**
 * A cursor that is older may be of changes that are not kept any more, by the database's clock; one that is ahead of the
 * database was given out before a backup was restored.
 */
const IS_KEPT = `SELECT $2::timestamptz > now() - interval '24 hours'
  AND $1::xid8 <= pg_snapshot_xmax(pg_current_snapshot()) AS kept`

const CURSOR = /^changes:(\d{1,19}):(\d{1,18}):(\d{1,15}):(\d{1,19})((?::\d{1,19})*)$/

export interface ChangeScope {
  /** The last cursor that was seen; null: from now on. */
  readonly after: string | null
  /** Changes of this app and of what belongs to it; null: of all. */
  readonly appId: string | null
}

/**
 * Everything that changes, each change exactly once and in the order of the transactions: apps, stages with their variables
 * and domains, deployments. Begins with RESET where there is no cursor, or one of changes that are not kept.
 *
 * @throws CommandError BAD_USER_INPUT for what is no cursor
 */
export async function followChanges(
  database: DataSource,
  wakeups: Wakeups,
  { after, appId }: ChangeScope,
): Promise<ChangeFeed> {
  const known = after === null ? null : decode(after)
  const isKept = known !== null && (await isReadable(database, known))
  const [now] = await database.query<[FeedPosition]>(NOW)
  return new ChangeFeed({ database, wakeups }, { start: isKept ? known : now, resets: !isKept, appId })
}

/** Where a feed begins, and whether it says first that everything may have changed. */
interface FeedStart {
  readonly start: FeedPosition
  readonly resets: boolean
  readonly appId: string | null
}

class ChangeFeed extends PullIterator<Change> implements Shareable<Change> {
  readonly subject: string
  #position: FeedPosition
  #resets: boolean
  readonly #appId: string | null
  readonly #stopListening: (() => void)[]
  #retry: NodeJS.Timeout | undefined

  constructor(
    private readonly source: { readonly database: DataSource; readonly wakeups: Wakeups },
    scope: FeedStart,
  ) {
    super()
    this.subject = `changes of ${scope.appId ?? 'all'}`
    this.#position = scope.start
    this.#resets = scope.resets
    this.#appId = scope.appId
    const topics = ['node', 'deployment', 'stage', 'route', 'app'] as const
    this.#stopListening = topics.map((topic) => source.wakeups.on(topic, () => this.wake()))
  }

  position(): string {
    return JSON.stringify([this.#resets, encode(this.#position)])
  }

  fork(): ChangeFeed {
    const scope = { start: this.#position, resets: this.#resets, appId: this.#appId }
    return new ChangeFeed(this.source, scope)
  }

  shownTo(): void {
    // Whoever changes something does not wait for those who watch.
  }

  protected give(): boolean {
    return false
  }

  protected release(): void {
    clearTimeout(this.#retry)
    for (const stop of this.#stopListening) stop()
  }

  protected async read(): Promise<Change[]> {
    if (this.#resets) {
      this.#resets = false
      const { at } = this.#position
      return [{ cursor: encode(this.#position), at, event: 'RESET', id: null, typename: null, node: null }]
    }
    const { database } = this.source
    const { xid, id, unseenFrom, underWay } = this.#position
    const rows = await database.query<ChangeRow[]>(PAGE_AFTER, [xid, id, this.#appId, unseenFrom, underWay])
    if (rows.length === 0) await this.#lookAgainSoon()
    const nodes = await readNodes(
      database,
      rows.map(({ nodeId }) => nodeId),
    )
    return rows.map((row, index) => {
      const { at, event, nodeId, typename } = row
      const node = event === 'DELETED' ? null : (nodes[index] ?? null)
      this.#position = positionAt(row, this.#position)
      return { cursor: encode(this.#position), at, event, id: nodeId, typename, node }
    })
  }

  /** What is committed and cannot be read yet has had its wake-up. */
  async #lookAgainSoon(): Promise<void> {
    const [look] = await this.source.database.query<{ found: boolean }[]>(HAS_UNREADABLE, [this.#appId])
    if (look?.found) this.#retry = setTimeout(() => this.wake(), RETRY_MS)
  }
}

async function isReadable(database: Queryable, { xid, at }: FeedPosition): Promise<boolean> {
  const [row] = await database.query<{ kept: boolean }[]>(IS_KEPT, [xid, at])
  return row?.kept === true
}

function positionAt({ xid, id, at }: ChangeRow, { underWay, unseenFrom }: FeedPosition): FeedPosition {
  return BigInt(xid) < BigInt(unseenFrom)
    ? { xid, id, at, underWay, unseenFrom }
    : { xid, id, at, underWay: [], unseenFrom: '0' }
}

function encode({ xid, id, at, underWay, unseenFrom }: FeedPosition): string {
  const text = ['changes', xid, id, at.getTime(), unseenFrom, ...underWay].join(':')
  return Buffer.from(text).toString('base64url')
}

function decode(cursor: string): FeedPosition {
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const [, xid = '', id = '', ms = '', unseenFrom = '', rest = ''] = CURSOR.exec(text) ?? []
  const underWay = rest.split(':').slice(1)
  const position = { xid, id, at: new Date(Number(ms)), underWay, unseenFrom }
  if (xid !== '' && encode(position) === cursor) return position
  throw badInput('after', 'is not a cursor of this feed')
}

/** Empties the partition of the day before yesterday, which is that of tomorrow, in the caller's transaction: once a day. */
export async function dropOldChanges(manager: Queryable): Promise<void> {
  const [row] = await manager.query<{ slot: number; filled: boolean }[]>(
    `SELECT slot, EXISTS (SELECT 1 FROM change c WHERE c.slot = s.slot) AS filled
       FROM (SELECT ((extract(epoch FROM now())::bigint / 86400 + 1) % 3)::smallint AS slot) s`,
  )
  if (!row?.filled) return
  const table = `change_${row.slot}`
  await manager.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
  // The wait for the lock may have taken it past midnight: then tomorrow's changes are today's, and in it.
  const [fresh] = await manager.query<{ found: boolean }[]>(
    `SELECT EXISTS (SELECT 1 FROM ${table} WHERE at > clock_timestamp() - interval '24 hours') AS found`,
  )
  if (fresh?.found === false) await manager.query(`TRUNCATE ${table}`)
}
