import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Private repositories: what they are fetched with, which SSH hosts are known, and which refs they have. */
export class RepositoryCredentials1700000000014 implements MigrationInterface {
  name = 'RepositoryCredentials1700000000014'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

// Users see a credential as a part of its app. An app that goes takes it along, and is not there any more by then.
const RECORD = `CREATE FUNCTION "record_change_of_app"() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO change (app_id, event, typename, node_id)
    SELECT id, 'UPDATED', 'App', id FROM app
     WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.app_id ELSE NEW.app_id END AND deleted_at IS NULL;
    RETURN NULL;
  END $$`

const UP = [
  `CREATE TABLE "repository_credential" (
    "app_id" text CONSTRAINT "repository_credential_pkey" PRIMARY KEY
      CONSTRAINT "repository_credential_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "kind" text NOT NULL,
    "origin" text NOT NULL,
    "username" text,
    "public_key" text,
    "secret_encrypted" text NOT NULL,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "updated_at" timestamptz NOT NULL DEFAULT now()
  )`,
  RECORD,
  `CREATE TRIGGER "record_change" AFTER INSERT OR UPDATE OR DELETE ON "repository_credential" FOR EACH ROW
     EXECUTE FUNCTION record_change_of_app()`,
  `CREATE TABLE "known_host" (
    "host" text CONSTRAINT "known_host_pkey" PRIMARY KEY,
    "public_key" text NOT NULL,
    "first_seen_at" timestamptz NOT NULL DEFAULT now()
  )`,
  // Unlogged: nothing is lost with them but an answer, which is asked for again.
  `CREATE UNLOGGED TABLE "refs_request" (
    "id" text CONSTRAINT "refs_request_pkey" PRIMARY KEY,
    "repo_url" text NOT NULL,
    "app_id" text CONSTRAINT "refs_request_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "expires_at" timestamptz NOT NULL,
    "claimed_by" text,
    "answer" jsonb
  )`,
  `CREATE INDEX "refs_request_app_id" ON "refs_request" ("app_id")`,
]

const DOWN = [
  'DROP TABLE "refs_request"',
  'DROP TABLE "known_host"',
  'DROP TABLE "repository_credential"',
  'DROP FUNCTION "record_change_of_app"()',
]
