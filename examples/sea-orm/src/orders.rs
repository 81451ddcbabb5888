//! A workflow that sells, and the transaction in which it does.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DatabaseConnection, EntityTrait,
    PaginatorTrait,
};
use stepwell::{Ctx, transaction, workflow};

use crate::tx::OrmTx;

#[allow(unreachable_pub, reason = "SeaORM writes half of it")]
mod row {
    //! A row of `orders`.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub item: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What the workflow works with.
#[derive(Debug, stepwell::State)]
pub struct Shop {
    /// The shop's database.
    #[provide]
    pub db: DatabaseConnection,
}

/// Makes the table of the orders.
///
/// # Errors
/// If the database cannot be reached or the table cannot be made.
pub async fn make_table(db: &DatabaseConnection) -> stepwell::Result<()> {
    let table = "create table if not exists orders (id bigserial primary key, item text not null)";
    db.execute_unprepared(table).await?;
    Ok(())
}

/// Writes an order down and answers how many there are.
///
/// # Errors
/// As the database.
#[transaction]
pub async fn enter(tx: &mut OrmTx, item: &str) -> stepwell::Result<u64> {
    let order = row::ActiveModel {
        item: Set(item.to_owned()),
        ..Default::default()
    };
    order.insert(&*tx).await?;
    Ok(row::Entity::find().count(&*tx).await?)
}

/// Sells one thing.
///
/// # Errors
/// As the database.
#[workflow]
pub async fn sell(ctx: &mut Ctx<Shop>, item: String) -> stepwell::Result<u64> {
    ctx.run(enter(&item)).await
}
