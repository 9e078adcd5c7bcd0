//! The page that operators copy from.

use recipes::{Recipe, RecipeText};

#[test]
fn every_recipe_on_the_page_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    let page = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> =
        page.split("```json\n").skip(1).map(|rest| rest.split_once("```").expect("an end").0).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let text: RecipeText = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
        Recipe::parse(&text).unwrap_or_else(|error| panic!("{error}: {block}"));
    }
}
