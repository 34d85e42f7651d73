import { Migration } from '@mikro-orm/migrations'

const ROLE = 'modelkeep_audit'

export class M0011Worm extends Migration {
  override up(): void {
    this.addSql(`create table worm_copy (
      bucket text not null,
      tiles bigint not null,
      checkpoint_size bigint not null,
      constraint worm_copy_pkey primary key (bucket)
    )`)
    this.addSql(`grant select, insert, update on worm_copy to ${ROLE}`)
  }
}
