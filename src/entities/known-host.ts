import { Column, Entity, PrimaryColumn } from 'typeorm'

/** The key by which an SSH host identified itself when it was first seen. */
@Entity({ name: 'known_host' })
export class KnownHost {
  /** As ssh writes it: `git.example.com`, `[git.example.com]:2222`. */
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'known_host_pkey' })
  host!: string

  /** Type and key, as in a line of known_hosts behind the host. */
  @Column({ type: 'text', name: 'public_key' })
  publicKey!: string

  @Column({ type: 'timestamptz', name: 'first_seen_at', default: () => 'now()' })
  firstSeenAt!: Date
}
