import {
  Column,
  Entity,
  Generated,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { App } from './app.js'
import { bigintAsNumber } from './bigint.js'
import { Forge } from './forge.js'

export { Forge }

/** What became of a delivery. */
export enum WebhookVerdict {
  /** At least one stage deploys what was pushed. */
  DEPLOYED = 'DEPLOYED',
  /** A worker compares the pushed commit with what serves; then it is DEPLOYED or IGNORED. */
  COMPARING = 'COMPARING',
  /** Genuine, and no stage deploys it: the reason says why. */
  IGNORED = 'IGNORED',
  /** The forge asked whether anybody is there. */
  PONG = 'PONG',
  /** Genuine, and not what the forge documents. */
  UNREADABLE = 'UNREADABLE',
  /** Not signed with the app's secret, or not read to its end; nothing of it was looked at or kept. */
  REFUSED = 'REFUSED',
  /** Too many in a minute would have deployed: the branch is looked up when the minute is over. */
  RATE_LIMITED = 'RATE_LIMITED',
}

/** What a push meant for one stage. */
export interface StageDecision {
  /** As the forge names it: `refs/heads/main`. */
  readonly ref: string
  /** What it pointed to before and after, as of {@link WebhookDelivery} for its first. */
  readonly before: string | null
  readonly sha: string | null
  /** A later push of it, which stands on this one, was handled before it. */
  readonly isLate: boolean
  readonly stage: string
  readonly reason: string
  /** Null: it is not deployed. */
  readonly deploymentId: string | null
  /** A worker compares it, or has: an older push must not come after it. */
  readonly comparison?: 'pending' | 'done'
}

/** A request to an app's webhook, and what became of it. Kept for seven days: so long a second one is known. */
@Entity({ name: 'webhook_delivery' })
@Index('webhook_delivery_app_number', ['appId', 'number'])
@Index('webhook_delivery_app_received', ['appId', 'receivedAt'])
@Index('webhook_delivery_key', ['appId', 'deliveryKey'], {
  unique: true,
  where: '"delivery_key" IS NOT NULL',
})
@Index('webhook_delivery_body', ['appId', 'bodyHash'], { unique: true, where: '"body_hash" IS NOT NULL' })
export class WebhookDelivery {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'webhook_delivery_pkey' })
  id!: string

  /** Rises: the order in which they were received. */
  @Column({ type: 'bigint', transformer: bigintAsNumber })
  @Generated('increment')
  number!: number

  @Column({ type: 'text', name: 'app_id' })
  appId!: string

  @ManyToOne(() => App, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'app_id', foreignKeyConstraintName: 'webhook_delivery_app_id_fkey' })
  app!: Relation<App>

  @Column({ type: 'text' })
  forge!: Forge

  /** As the forge names it: `push`. */
  @Column({ type: 'text' })
  event!: string

  /** The forge's own id of it. Null: it has none, or was not handled and may come again. */
  @Column({ type: 'text', name: 'delivery_key', nullable: true })
  deliveryKey!: string | null

  /** SHA-256 of the body, where the forge signs nothing else that tells two deliveries apart. */
  @Column({ type: 'text', name: 'body_hash', nullable: true })
  bodyHash!: string | null

  @Column({ type: 'timestamptz', name: 'received_at', default: () => 'clock_timestamp()' })
  receivedAt!: Date

  @Column({ type: 'text' })
  verdict!: WebhookVerdict

  @Column({ type: 'text' })
  reason!: string

  @Column({ type: 'text', nullable: true })
  ref!: string | null

  @Column({ type: 'text', name: 'before_sha', nullable: true })
  beforeSha!: string | null

  @Column({ type: 'text', name: 'commit_sha', nullable: true })
  commitSha!: string | null

  @Column({ type: 'jsonb' })
  decisions!: readonly StageDecision[]

  @Column({ type: 'text', name: 'content_type' })
  contentType!: string

  /**
   * As it was received, so that it can be decided again. Not encrypted: it holds what the forge shows to everybody who
   * may read the repository, and no secret. Null: not kept (any more).
   */
  @Column({ type: 'bytea', nullable: true, select: false })
  body!: Buffer | null

  /** The delivery of which this is another decision. */
  @Column({ type: 'text', name: 'redelivery_of', nullable: true })
  redeliveryOf!: string | null
}
