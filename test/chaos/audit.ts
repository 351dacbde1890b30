import { onDatabase } from '../support/tables.js'

/** A change of a deployment that matters, in the order of the changes. */
export interface Change {
  /** By the clock of this machine, in milliseconds; the transaction commits a little later. */
  readonly at: number
  readonly id: string
  readonly app: string
  readonly stageId: string
  readonly status: string
  /** What users see while a switch of traffic is not announced. */
  readonly shownAs: string | null
  readonly attempt: number
  readonly epoch: number
  readonly owner: string | null
  readonly code: string | null
  readonly message: string | null
  readonly commitSha: string | null
  readonly ref: string | null
  readonly addresses: readonly string[] | null
}

/** A deployment went back into the queue. */
export interface GiveBack {
  readonly at: number
  readonly id: string
  readonly epoch: number
  readonly reason: string
}

/** A stage's traffic goes to another deployment from then on. */
export interface Switch {
  readonly at: number
  readonly stageId: string
  readonly id: string | null
  readonly stopped: boolean
}

const WATCHED = ['status', 'shown_as', 'epoch', 'lease_owner', 'error_code', 'commit_sha', 'addresses']
const isChanged = WATCHED.map((name) => `OLD.${name} IS DISTINCT FROM NEW.${name}`).join(' OR ')

/** Written by triggers, and without references: it tells of deleted apps, too. */
const STATEMENTS = [
  `CREATE TABLE chaos_change (number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
     id text NOT NULL, app_id text, stage_id text, status text, shown_as text, attempt int, epoch int,
     lease_owner text, error_code text, error_message text, commit_sha text, ref text, addresses text[])`,
  `CREATE FUNCTION chaos_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO chaos_change (id, app_id, stage_id, status, shown_as, attempt, epoch, lease_owner, error_code,
                               error_message, commit_sha, ref, addresses)
     VALUES (NEW.id, NEW.app_id, NEW.stage_id, NEW.status, NEW.shown_as, NEW.attempt, NEW.epoch, NEW.lease_owner,
             NEW.error_code, NEW.error_message, NEW.commit_sha, NEW.ref, NEW.addresses);
     RETURN NULL; END $$`,
  `CREATE TRIGGER chaos_insert AFTER INSERT ON deployment FOR EACH ROW EXECUTE FUNCTION chaos_change()`,
  `CREATE TRIGGER chaos_update AFTER UPDATE ON deployment FOR EACH ROW WHEN (${isChanged})
     EXECUTE FUNCTION chaos_change()`,
  `CREATE TABLE chaos_switch (number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
     stage_id text NOT NULL, id text, stopped boolean)`,
  `CREATE FUNCTION chaos_switch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO chaos_switch (stage_id, id, stopped) VALUES (NEW.id, NEW.current_deployment_id, NEW.stopped);
     RETURN NULL; END $$`,
  `CREATE TRIGGER chaos_switch AFTER UPDATE ON stage FOR EACH ROW
     WHEN (OLD.current_deployment_id IS DISTINCT FROM NEW.current_deployment_id OR OLD.stopped <> NEW.stopped)
     EXECUTE FUNCTION chaos_switch()`,
  `CREATE TABLE chaos_event (number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
     id text NOT NULL, epoch int, from_status text, to_status text, reason text)`,
  `CREATE FUNCTION chaos_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
     INSERT INTO chaos_event (id, epoch, from_status, to_status, reason)
     VALUES (NEW.deployment_id, NEW.epoch, NEW.from_status, NEW.to_status, NEW.reason);
     RETURN NULL; END $$`,
  `CREATE TRIGGER chaos_event AFTER INSERT ON deployment_event FOR EACH ROW EXECUTE FUNCTION chaos_event()`,
]

const AT = '(extract(epoch FROM at) * 1000)::float8 AS at'

export async function installAudit(url: string): Promise<void> {
  for (const statement of STATEMENTS) await onDatabase(url, statement)
}

export async function readChanges(url: string): Promise<Change[]> {
  const sql = `SELECT ${AT}, id, app_id AS app, stage_id AS "stageId", status, shown_as AS "shownAs", attempt, epoch,
                      lease_owner AS owner, error_code AS code, error_message AS message, commit_sha AS "commitSha", ref, addresses
                 FROM chaos_change ORDER BY number`
  return (await onDatabase(url, sql)) as unknown as Change[]
}

export async function readSwitches(url: string): Promise<Switch[]> {
  const sql = `SELECT ${AT}, stage_id AS "stageId", id, stopped FROM chaos_switch ORDER BY number`
  return (await onDatabase(url, sql)) as unknown as Switch[]
}

export async function readGiveBacks(url: string): Promise<GiveBack[]> {
  const sql = `SELECT ${AT}, id, epoch, reason FROM chaos_event
                WHERE to_status = 'PENDING' AND from_status <> 'PENDING' ORDER BY number`
  return (await onDatabase(url, sql)) as unknown as GiveBack[]
}
