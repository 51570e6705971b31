// Runs while the page is read: the tree's window is not at its top, and must not be seen to jump there.
{
  const tree = document.getElementById("tree");
  if (tree) tree.scrollTop = Number(tree.dataset.top) * 26; // the height of a row
}
