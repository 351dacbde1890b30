import { Column, Entity, PrimaryColumn } from 'typeorm'

/** This installation: its id is the label by which its containers are told from everybody else's. One row. */
@Entity({ name: 'instance' })
export class Instance {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'instance_pkey' })
  id!: string

  @Column({ type: 'timestamptz', name: 'created_at', default: () => 'now()' })
  createdAt!: Date
}
