import assert from 'node:assert/strict'
import type { DataSource } from 'typeorm'

type Row = Readonly<Record<string, unknown>>

interface Entry {
  readonly id: string
  readonly who: string
  readonly deployment_id: string
  readonly old: Row
  readonly new: Row
}

/** Writes down who changed what: each simulated process connects under its own name. */
const TRIGGERS = [
  `CREATE TABLE audit (id bigserial PRIMARY KEY, who text NOT NULL DEFAULT current_setting('application_name'),
     deployment_id text NOT NULL, old jsonb NOT NULL, new jsonb NOT NULL)`,
  `CREATE FUNCTION audit_deployment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO audit (deployment_id, old, new) VALUES (NEW.id, to_jsonb(OLD), to_jsonb(NEW));
     RETURN NULL; END $$`,
  `CREATE TRIGGER audit AFTER UPDATE ON deployment FOR EACH ROW EXECUTE FUNCTION audit_deployment()`,
  `CREATE FUNCTION audit_chunk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO audit (deployment_id, old, new)
     SELECT NEW.deployment_id, '{}', jsonb_build_object('phase', NEW.phase, 'text', NEW.text, 'epoch', s.epoch)
       FROM log_stream s WHERE s.deployment_id = NEW.deployment_id;
     RETURN NULL; END $$`,
  `CREATE TRIGGER audit AFTER INSERT ON log_chunk FOR EACH ROW EXECUTE FUNCTION audit_chunk()`,
]

/**
 * I4: no write with an old epoch succeeds. Every change of a deployment and every line of its log that came from an
 * engine is held against the claims that this engine had: a change of a claimed deployment under an epoch that is not
 * the engine's own is one that should have been refused.
 */
export class Audit {
  readonly #claims = new Set<string>()
  #last = '0'

  private constructor(private readonly database: DataSource) {}

  static async install(database: DataSource): Promise<Audit> {
    for (const statement of TRIGGERS) await database.query(statement)
    return new Audit(database)
  }

  async clear(): Promise<void> {
    await this.database.query('DELETE FROM audit')
    this.#claims.clear()
  }

  /** Looks at what was written since the last call. */
  async check(): Promise<void> {
    // A trigger's id is taken before its commit: one that is still open may come later with a lower one.
    const sql = `WITH seen AS (DELETE FROM audit RETURNING *) SELECT * FROM seen ORDER BY id`
    for (const entry of await this.database.query<Entry[]>(sql)) this.#take(entry)
  }

  #take(entry: Entry): void {
    const { who, deployment_id: id, old, new: now } = entry
    if (!who.startsWith('engine')) return
    if (old.status === undefined) return this.#takeChunk(entry)
    const changed = Object.keys(now).filter((name) => JSON.stringify(now[name]) !== JSON.stringify(old[name]))
    const only = (...names: string[]) => changed.every((name) => names.includes(name))
    if (old.status === 'PENDING') {
      if (now.status === 'CLONING' && now.lease_owner === who) this.#claims.add(keyOf(who, id, now.epoch))
      else assert.ok(now.status === 'SUPERSEDED' || only('waiting_for'), say(entry, changed))
      return
    }
    const retires = old.status === 'RUNNING' && now.status === 'RETIRED'
    const announced = old.status === now.status && old.shown_as !== null && only('shown_as', 'announcement')
    const drained = old.status === 'RETIRED' && now.status === 'RETIRED' && only('addresses', 'drain_until')
    assert.ok(
      retires || announced || drained || this.#claims.has(keyOf(who, id, old.epoch)),
      say(entry, changed),
    )
  }

  #takeChunk(entry: Entry): void {
    const { who, deployment_id: id, new: now } = entry
    // Back in the queue, waiting, superseded, serving: said of deployments that nobody holds.
    if (['PENDING', 'SUPERSEDED', 'RUNNING', 'ROLLED_BACK'].includes(String(now.phase))) return
    assert.ok(this.#claims.has(keyOf(who, id, now.epoch)), say(entry, ['log']))
  }
}

function keyOf(who: string, id: string, epoch: unknown): string {
  return `${who} ${id} ${String(epoch)}`
}

function say({ who, deployment_id: id, old, new: now }: Entry, changed: readonly string[]): string {
  const values = (row: Row) => JSON.stringify(Object.fromEntries(changed.map((name) => [name, row[name]])))
  const claim = `I4: ${who} has changed ${id} (epoch ${String(old.epoch)}, held by ${String(old.lease_owner)})`
  return `${claim} without a claim: ${values(old)} -> ${values(now)} ${JSON.stringify(now.text)}`
}
